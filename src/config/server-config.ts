import { failure, type Result, success } from '#lib/result.ts';
import { type GrpcTarget, parseTarget } from '#lib/target.ts';
import type { SourceConfig, TlsFileNames } from './config.ts';
import type { Flag, GivenSettings } from './flags.ts';
import { SOURCE_FLAGS } from './flags.ts';
import { readSettings } from './read-settings.ts';
import { readSource, readTls } from './read-source.ts';

/** Default address of `weir kpng-server`: KPNG's port, on loopback. */
const DEFAULT_LISTEN = '127.0.0.1:12090';

/** Flags of `weir kpng-server`; flags that KPNG has, too, keep its names (server/jobs/store2api). */
export const SERVER_FLAGS: readonly Flag[] = [
  ...SOURCE_FLAGS,
  { flags: '--listen <address>', help: `address for clients: unix:///PATH or HOST:PORT (default: ${DEFAULT_LISTEN})` },
  { flags: '--listen-tls-crt <file>', help: 'certificate of this server, for an address other than a Unix socket or loopback' },
  { flags: '--listen-tls-key <file>', help: 'key of that certificate' },
  { flags: '--listen-tls-ca <file>', help: "authority of the clients' certificates" },
  { flags: '--verify-node-names [bool]', help: 'serve a client as a node only if its certificate names that node (default: false)' },
  { flags: '-v, --v <level>', help: 'log level: 0 essential messages, 2 also connections and disconnections of clients (default: 0)' },
];

/** The validated configuration of `weir kpng-server`. */
export interface ServerConfig {
  readonly source: SourceConfig;
  readonly listen: GrpcTarget;
  readonly tls: TlsFileNames | undefined;
  /** Serve a client as a node only if its certificate names that node. */
  readonly verifyNodeNames: boolean;
  readonly verbosity: number;
}

/** Reads the configuration; warnings are for the operator. */
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
