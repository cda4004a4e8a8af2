import { Command } from 'commander';
import { lockNode } from '#agent/lock.ts';
import { DEFAULT_STATE_DIR } from '#config/flags.ts';
import { removeState } from '#kernel/cleanup.ts';
import { removeRuleset } from '#kernel/ruleset.ts';

/** `weir cleanup`: this network namespace and one state folder are as if weir had never run; open connections go on untranslated. */
export function cleanupCommand(): Command {
  return new Command('cleanup')
    .description('remove everything that weir left in the kernel: programs, tables, pins, table inet weir')
    .option('--state-dir <dir>', 'bpffs folder that holds the pins', DEFAULT_STATE_DIR)
    .addHelpText('after', '\nConntrack entries and open sockets are not touched. A running agent must be stopped first.')
    .action(async ({ stateDir }: { stateDir: string }) => {
      await lockNode();
      const removed = removeState(stateDir);
      if (removeRuleset()) removed.push('Removed table inet weir');
      process.stdout.write(removed.length > 0 ? `${removed.join('\n')}\n` : 'Nothing of weir was here\n');
    });
}
