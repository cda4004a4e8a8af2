import { watchFile } from 'node:fs';
import { Command } from 'commander';
import { ExitError } from '#agent/exit-error.ts';
import { createOrigin } from '#agent/source.ts';
import { createSpareMemory } from '#agent/spare-memory.ts';
import { parseServerConfig, SERVER_FLAGS, type ServerConfig } from '#config/server-config.ts';
import { readTlsFiles } from '#grpc/tls-files.ts';
import { type KpngServer, startKpngServer } from '#kpng-server/server.ts';
import { formatTarget } from '#lib/target.ts';
import { createLog, type Log } from '#observe/log.ts';
import { createRateLimitedReporter } from '#sources/rate-limited-reporter.ts';
import { flagOption, givenFlags, refuse } from './flag-options.ts';

/** Interval of checks for changed certificate files, ms. */
const CHECK_MS = 10_000;

/** `weir kpng-server`: follows a source once for the proxies of a whole cluster, until SIGTERM or SIGINT. */
export function kpngServerCommand(): Command {
  const command = new Command('kpng-server').description('follow Services once and serve them to many nodes through the KPNG protocol');
  for (const flag of SERVER_FLAGS) command.addOption(flagOption(flag));
  return command
    .addHelpText('after', '\nAgents follow it with --source kpng=ADDRESS. Without TLS it listens only on a Unix socket or loopback.')
    .action(serve);
}

async function serve(_: unknown, command: Command): Promise<void> {
  const parsed = parseServerConfig(givenFlags(command));
  if (!parsed.ok) return refuse(command, parsed.errors);
  const { config, warnings } = parsed.value;
  const log = createLog(config.verbosity);
  for (const warning of warnings) log.warn(warning);
  const tls = readTlsFiles(config.tls);
  if (!tls.ok) return refuse(command, tls.errors);
  const origin = await createOrigin({ source: config.source, nodeName: undefined, journal: undefined }, log);
  if (!origin.ok) return refuse(command, origin.errors);
  const report = createRateLimitedReporter((message) => log.warn(message));
  const memory = createSpareMemory();
  const server = await startKpngServer({
    busy: memory.busy,
    source: origin.value.source,
    target: config.listen,
    tls: tls.value,
    verifyNodeNames: config.verifyNodeNames,
    log: {
      info: (message) => log.info(message),
      refused: (peer, reason) => report(peer, `Refused ${peer}: ${reason}`),
      problem: ({ message }) => log.warn(message),
      debug: (message) => log.debug(2, message),
    },
  }).catch((error) => {
    throw new ExitError('port', (error as Error).message);
  });
  log.info(`Serving KPNG clients at ${formatTarget(config.listen)}${tls.value ? ' with mutual TLS' : ''}`);
  followCertificates(config, server, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      memory.stop();
      void server.stop().then(() => log.info('Stopped; nodes keep their last state'));
    });
}

/** Certificates may be rotated while the server runs. */
function followCertificates({ tls }: ServerConfig, server: KpngServer, log: Log): void {
  const look = (): void => {
    const read = readTlsFiles(tls);
    if (!read.ok) log.warn(`${read.errors.join('; ')}; the previous certificates stay in use`);
    else if (read.value !== undefined) {
      server.useTls(read.value);
      log.info('Using the changed certificates');
    }
  };
  for (const file of Object.values(tls ?? {})) watchFile(file, { interval: CHECK_MS, persistent: false }, look);
}
