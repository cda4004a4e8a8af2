import { Command } from 'commander';
import { EXIT_CODES, ExitError } from '#agent/exit-error.ts';
import { errorText } from '#observe/log.ts';
import manifest from '../../package.json' with { type: 'json' };
import { withDashes } from './flag-options.ts';

/** Each command is imported on demand: the agent must not pay for the memory of the lab. */
const COMMANDS = new Map<string | undefined, () => Promise<Command>>([
  ['run', async () => (await import('./run.ts')).runCommand()],
  ['kpng-server', async () => (await import('./kpng-server.ts')).kpngServerCommand()],
  ['dump', async () => (await import('./dump.ts')).dumpCommand()],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand()],
  ['cleanup', async () => (await import('./cleanup.ts')).cleanupCommand()],
  ['lab', async () => (await import('./lab.ts')).labCommand()],
]);

const CODES = `
Exit codes (the last line on stderr names the reason):
  0  done
  1  failed
  2  wrong usage, configuration or kubeconfig
  3  this node cannot run weir, see weir doctor
  4  another agent runs here
  5  a port is in use (one of the agent's: only with --bind-address-hard-fail)
  6  the file of --config has changed; start the agent again`;

const program = new Command('weir')
  .description("A Kubernetes Service proxy for Linux nodes: eBPF and the kernel's own connection tracking, without iptables")
  .version(manifest.version)
  .enablePositionalOptions()
  .showHelpAfterError('(weir COMMAND --help lists the options)')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CODES.usage))
  .addHelpText('after', CODES);

try {
  const asked = COMMANDS.get(process.argv[2]);
  for (const load of asked ? [asked] : COMMANDS.values()) program.addCommand(inherit(await load(), program));
  await program.parseAsync(process.argv[2] === 'run' ? withDashes(process.argv) : process.argv);
} catch (error) {
  process.stderr.write(`weir: ${error instanceof Error ? errorText(error) : String(error)}\n`);
  // Open handles must not keep the process alive
  process.exit(error instanceof ExitError ? error.exitCode : EXIT_CODES.failed);
}

/** Does what commander does for subcommands that it creates itself. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
  return command;
}
