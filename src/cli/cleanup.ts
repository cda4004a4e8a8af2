import { Command } from 'commander';
import { lockNode, lockState } from '#agent/lock.ts';
import { removeJournalOf } from '#agent/source.ts';
import type { Config } from '#config/config.ts';
import { DEFAULT_CONNTRACK_MARK, DEFAULT_JOURNAL_DIR, DEFAULT_STATE_DIR } from '#config/flags.ts';
import { readSettings } from '#config/read-settings.ts';
import { removeState } from '#kernel/bpf/cleanup.ts';
import { conntrackLeftOvers } from '#kernel/left-overs.ts';
import { isBpffs } from '#kernel/node/mounts.ts';

interface Options {
  readonly stateDir: string;
  readonly journalDir: string;
  readonly conntrackMark: string;
}

type LeftBy = Pick<Config, 'stateDir' | 'conntrackMark'> & { readonly journalDir?: string | undefined };

/** `weir cleanup`: restores one network namespace and one state folder to their state without weir, except what open connections need. */
export function cleanupCommand(): Command {
  return new Command('cleanup')
    .description('remove everything that weir left: programs, tables, pins, table inet weir, the journal')
    .option('--state-dir <folder>', 'bpffs folder that holds the pins', DEFAULT_STATE_DIR)
    .option('--journal-dir <folder>', "folder of the agent's journal (its --journal-dir), empty if it keeps none", DEFAULT_JOURNAL_DIR)
    .option(
      '--conntrack-mark <bit>',
      'bit of ct->mark on conntrack entries of the agent (its --conntrack-mark)',
      `0x${DEFAULT_CONNTRACK_MARK.toString(16)}`,
    )
    .addHelpText(
      'after',
      `
Stop the agent first. Open connections go on: the command touches neither conntrack entries nor sockets. Connections of the
packet path need the NAT chains of table inet weir: the command keeps these chains while such connections live, and prints that it
did; run it again later.`,
    )
    .action(async ({ stateDir, journalDir, conntrackMark }: Options, command: Command) => {
      const read = readSettings(new Map([['conntrack-mark', { text: conntrackMark, from: '--conntrack-mark' }]]));
      const mark = read.mark('conntrack-mark', DEFAULT_CONNTRACK_MARK);
      for (const error of read.errors) command.error(`weir cleanup: ${error}`);
      await cleanUp({ stateDir, journalDir, conntrackMark: mark });
    });
}

/** Removes what an agent with these settings left, and prints what it removed. An agent must not run here. */
export async function cleanUp({ stateDir, journalDir = '', conntrackMark }: LeftBy): Promise<void> {
  await lockNode();
  if (isBpffs(stateDir)) lockState(stateDir).close();
  const lines = [...removeState(stateDir), ...removeJournalOf(journalDir, stateDir), ...conntrackLeftOvers(conntrackMark).remove()];
  process.stdout.write(lines.length > 0 ? `${lines.join('\n')}\n` : 'Nothing of weir was here\n');
}
