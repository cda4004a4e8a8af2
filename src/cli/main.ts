import { Command } from 'commander';
import { EXIT_CODES, ExitError } from '#agent/exit-error.ts';
import { errorText } from '#observe/log.ts';

/** Each command loads what it needs when it is asked for: the agent's memory has no room for the lab. */
const COMMANDS = new Map<string | undefined, () => Promise<Command>>([
  ['run', async () => (await import('./run.ts')).runCommand()],
  ['kpng-server', async () => (await import('./kpng-server.ts')).kpngServerCommand()],
  ['dump', async () => (await import('./dump.ts')).dumpCommand()],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand()],
  ['cleanup', async () => (await import('./cleanup.ts')).cleanupCommand()],
  ['lab', async () => (await import('./lab.ts')).labCommand()],
]);

const CODES =
  '0 done, 1 failed, 2 wrong usage, configuration or kubeconfig, 3 this node cannot run weir, 4 another agent works here, 5 a port is taken (of the agent: only with --bind-address-hard-fail), 6 the configuration file has changed';

const program = new Command('weir')
  .description("A Kubernetes Service proxy for Linux nodes: eBPF and the kernel's own connection tracking, without iptables")
  .version('0.1.0')
  .enablePositionalOptions()
  .showHelpAfterError('(weir COMMAND --help lists the options)')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CODES.usage))
  .addHelpText('after', `\nExit codes (the last line on stderr says why): ${CODES}.`);

try {
  const asked = COMMANDS.get(process.argv[2]);
  for (const load of asked ? [asked] : COMMANDS.values()) program.addCommand(inherit(await load(), program));
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`weir: ${error instanceof Error ? errorText(error) : String(error)}\n`);
  // Whatever was begun before must not keep the process
  process.exit(error instanceof ExitError ? error.exitCode : EXIT_CODES.failed);
}

/** What commander does for subcommands that it makes itself. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
  return command;
}
