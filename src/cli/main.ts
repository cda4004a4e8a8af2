import { Command } from 'commander';
import { cleanupCommand } from './cleanup.ts';
import { doctorCommand } from './doctor.ts';
import { dumpCommand } from './dump.ts';
import { labCommand } from './lab.ts';
import { runCommand } from './run.ts';

const program = new Command('weir')
  .description("A Kubernetes Service proxy for Linux nodes: eBPF and the kernel's own connection tracking, without iptables")
  .version('0.1.0')
  .enablePositionalOptions()
  .showHelpAfterError('(weir COMMAND --help lists the options)')
  .addHelpText('after', '\nExit codes: 0 done, 1 failed (the last line on stderr says why), 2 wrong usage or configuration.')
  .addCommand(runCommand())
  .addCommand(dumpCommand())
  .addCommand(doctorCommand())
  .addCommand(cleanupCommand())
  .addCommand(labCommand());

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`weir: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
