import koffi from 'koffi';
import { bindLibrary, checkedPointer, type Pointer } from '../ffi/ffi.ts';

koffi.opaque('nft_ctx');

type NftContext = Pointer<'nft_ctx'>;

interface LibNftables {
  nft_ctx_new(flags: number): NftContext | null;
  nft_ctx_free(context: NftContext): void;
  nft_ctx_buffer_output(context: NftContext): number;
  nft_ctx_buffer_error(context: NftContext): number;
  nft_ctx_output_set_flags(context: NftContext, flags: number): void;
  nft_ctx_set_dry_run(context: NftContext, dry: boolean): void;
  nft_run_cmd_from_buffer(context: NftContext, commands: string): number;
  nft_ctx_get_output_buffer(context: NftContext): string | null;
  nft_ctx_get_error_buffer(context: NftContext): string | null;
}

const libnftables = bindLibrary<LibNftables>('libnftables.so.1', 'libnftables1', {
  nft_ctx_new: 'nft_ctx *nft_ctx_new(uint32_t flags)',
  nft_ctx_free: 'void nft_ctx_free(nft_ctx *context)',
  nft_ctx_buffer_output: 'int nft_ctx_buffer_output(nft_ctx *context)',
  nft_ctx_buffer_error: 'int nft_ctx_buffer_error(nft_ctx *context)',
  nft_ctx_output_set_flags: 'void nft_ctx_output_set_flags(nft_ctx *context, unsigned int flags)',
  nft_ctx_set_dry_run: 'void nft_ctx_set_dry_run(nft_ctx *context, bool dry)',
  nft_run_cmd_from_buffer: 'int nft_run_cmd_from_buffer(nft_ctx *context, const char *commands)',
  nft_ctx_get_output_buffer: 'const char *nft_ctx_get_output_buffer(nft_ctx *context)',
  nft_ctx_get_error_buffer: 'const char *nft_ctx_get_error_buffer(nft_ctx *context)',
});

const NFT_CTX_OUTPUT_JSON = 1 << 4;
const NFT_CTX_OUTPUT_TERSE = 1 << 11;

/** nft refused a transaction; the message carries its words. */
export class NftError extends Error {}

/**
 * Runs commands in nft's language as one transaction, in this network namespace; returns their output, as JSON on request; `terse`: as
 * JSON without the elements of sets. `check`: the kernel validates the commands without effect.
 */
export function runNft(commands: string, mode: 'text' | 'json' | 'terse' | 'check' = 'text'): string {
  const context = checkedPointer(libnftables.nft_ctx_new(0), 'open nftables');
  try {
    libnftables.nft_ctx_buffer_output(context);
    libnftables.nft_ctx_buffer_error(context);
    if (mode === 'check') libnftables.nft_ctx_set_dry_run(context, true);
    if (mode === 'json') libnftables.nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_JSON);
    if (mode === 'terse') libnftables.nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_TERSE);
    if (libnftables.nft_run_cmd_from_buffer(context, commands) !== 0)
      throw new NftError(`Cannot run nft commands: ${libnftables.nft_ctx_get_error_buffer(context)?.trim() || 'nft gave no reason'}`);
    return libnftables.nft_ctx_get_output_buffer(context) ?? '';
  } finally {
    libnftables.nft_ctx_free(context);
  }
}
