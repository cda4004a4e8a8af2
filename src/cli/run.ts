import { hostname } from 'node:os';
import { Command } from 'commander';
import { startAgent } from '#agent/agent.ts';
import { EXIT_CODES, ExitError } from '#agent/exit-error.ts';
import { applyProcessSettings } from '#agent/process-settings.ts';
import { createOrigin, journalOf } from '#agent/source.ts';
import type { Config } from '#config/config.ts';
import { FLAGS } from '#config/flags.ts';
import { FLAGS_WITHOUT_EFFECT, type Once } from '#config/kube-proxy-flags.ts';
import { parseConfig } from '#config/parse-config.ts';
import { createCounters } from '#observe/counters.ts';
import { createLog, type Log } from '#observe/log.ts';
import manifest from '../../package.json' with { type: 'json' };
import { cleanUp } from './cleanup.ts';
import { readConfig } from './config-file.ts';
import { flagOption, givenFlags, refuse } from './flag-options.ts';
import { objectsDir } from './paths.ts';

/** `weir run`: the agent, until SIGTERM or SIGINT. The kernel goes on serving afterwards. */
export function runCommand(): Command {
  const command = new Command('run').description('run the agent: follow Services and program the kernel of this node');
  for (const flag of [...FLAGS, ...FLAGS_WITHOUT_EFFECT]) command.addOption(flagOption(flag));
  return command
    .addHelpText('after', '\nThe agent works in the network namespace in which it starts. SIGTERM stops it; the kernel goes on serving.')
    .action(run);
}

async function run(_: unknown, command: Command): Promise<void> {
  const given = givenFlags(command);
  const file = given.get('config');
  const configFile = file === undefined ? undefined : readConfig(file.text);
  const fromFile = configFile?.settings;
  if (fromFile?.ok === false) return refuse(command, fromFile.errors);
  const parsed = parseConfig(new Map([...(fromFile?.value.settings ?? []), ...given]), hostname());
  if (!parsed.ok) return refuse(command, parsed.errors);
  const { config, warnings, once } = parsed.value;
  const log = createLog(config.verbosity);
  for (const warning of [...(fromFile?.value.warnings ?? []), ...warnings]) log.warn(warning);
  if (once !== undefined) return runOnce(once, config, log);
  const origin = await createOrigin({ ...config, journal: journalOf(config) }, log);
  if (!origin.ok) return refuse(command, origin.errors);
  process.on('uncaughtException', ({ stack }) => {
    log.error('Ended by an unexpected error; the kernel goes on serving', { stack });
    process.exit(EXIT_CODES.failed);
  });
  const fail = ({ message, exitCode }: ExitError): void => {
    log.error(message);
    process.exit(exitCode);
  };
  const agent = await startAgent(config, { objectsDir: objectsDir(), ...origin.value, log, counters: createCounters(), fail });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void agent.stop());
  configFile?.watch(async () => {
    await agent.stop().catch((error) => log.error('Cannot stop properly', { error }));
    fail(new ExitError('changed', `Ended, because ${file?.text} has changed: the supervisor should start weir again`));
  });
}

/** Does one task of kube-proxy's flags --version, --cleanup and --init-only. */
async function runOnce(once: Once, config: Config, log: Log): Promise<void> {
  if (once === 'version') process.stdout.write(`${manifest.version}\n`);
  else if (once === 'cleanup') await cleanUp(config);
  else {
    applyProcessSettings({ ...config, oomScoreAdj: undefined }, log);
    log.info('Ended, because of --init-only: the sysctls of connection tracking are set');
  }
}
