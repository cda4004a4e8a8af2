import { failure, type Result, success } from '#lib/result.ts';
import { parseTarget, type Target } from '#lib/target.ts';
import type { SourceConfig, TlsFileNames } from './config.ts';
import type { Flag, GivenSettings } from './flags.ts';
import { SOURCE_FLAGS } from './flags.ts';
import { readSettings } from './read-settings.ts';
import { readSource, readTls } from './read-source.ts';

/** Where `weir kpng-server` listens where nothing else is said: KPNG's port, on loopback. */
const DEFAULT_LISTEN = '127.0.0.1:12090';

/** Flags of `weir kpng-server`. Those of KPNG have its names (server/jobs/store2api). */
export const SERVER_FLAGS: readonly Flag[] = [
  ...SOURCE_FLAGS,
  { flags: '--listen <address>', help: `where clients are served: unix:///PATH or HOST:PORT (default: ${DEFAULT_LISTEN})` },
  { flags: '--listen-tls-crt <file>', help: 'certificate of this server, for addresses that others can reach' },
  { flags: '--listen-tls-key <file>', help: 'its key' },
  { flags: '--listen-tls-ca <file>', help: 'authority of the certificates of clients' },
  { flags: '--verify-node-names [bool]', help: "serve a client as a node only if its certificate is that node's (default: false)" },
  { flags: '-v, --v <level>', help: 'how much to log: 0 what an operator must know, 2 also who comes and goes (default: 0)' },
];

/** Everything that `weir kpng-server` was told, checked. */
export interface ServerConfig {
  readonly source: SourceConfig;
  readonly listen: Target;
  readonly tls: TlsFileNames | undefined;
  /** A client is served as a node only if its certificate is that node's. */
  readonly verifyNodeNames: boolean;
  readonly verbosity: number;
}

/** The configuration, and what an operator should know about how it came to be. */
export function parseServerConfig(given: GivenSettings): Result<{ readonly config: ServerConfig; readonly warnings: readonly string[] }> {
  const read = readSettings(given);
  const warnings: string[] = [];
  const listen = parseTarget(read.text('listen') ?? DEFAULT_LISTEN);
  if (listen === undefined) read.reject('listen', 'an address such as unix:///run/kpng.sock or 127.0.0.1:12090');
  const tls = listen && readTls(read, 'listen-', listen, '--listen ');
  const verifyNodeNames = read.flag('verify-node-names', false);
  if (verifyNodeNames && listen !== undefined && tls === undefined)
    read.fail('--verify-node-names needs the certificates of clients: give --listen-tls-crt, --listen-tls-key and --listen-tls-ca');
  const source = readSource(read, warnings);
  const verbosity = read.number('v', 0);
  if (read.errors.length > 0 || listen === undefined) return failure(...read.errors);
  return success({ config: { source, listen, tls, verifyNodeNames, verbosity }, warnings });
}
