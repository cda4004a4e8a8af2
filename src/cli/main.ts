import { Command } from 'commander';

/** Each command loads what it needs when it is asked for: the agent's memory has no room for the lab. */
const COMMANDS = new Map<string | undefined, () => Promise<Command>>([
  ['run', async () => (await import('./run.ts')).runCommand()],
  ['dump', async () => (await import('./dump.ts')).dumpCommand()],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand()],
  ['cleanup', async () => (await import('./cleanup.ts')).cleanupCommand()],
  ['lab', async () => (await import('./lab.ts')).labCommand()],
]);

const program = new Command('weir')
  .description("A Kubernetes Service proxy for Linux nodes: eBPF and the kernel's own connection tracking, without iptables")
  .version('0.1.0')
  .enablePositionalOptions()
  .showHelpAfterError('(weir COMMAND --help lists the options)')
  .addHelpText('after', '\nExit codes: 0 done, 1 failed (the last line on stderr says why), 2 wrong usage or configuration.');

try {
  const asked = COMMANDS.get(process.argv[2]);
  for (const load of asked ? [asked] : COMMANDS.values()) program.addCommand(await load());
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`weir: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
