import { Command } from 'commander';
import { lockNode, lockState } from '#agent/lock.ts';
import { removeJournalOf } from '#agent/source.ts';
import { DEFAULT_CONNTRACK_MARK, DEFAULT_JOURNAL_DIR, DEFAULT_STATE_DIR } from '#config/flags.ts';
import { readSettings } from '#config/read-settings.ts';
import { removeState } from '#kernel/bpf/cleanup.ts';
import { countConntrackEntries } from '#kernel/netlink/conntrack.ts';
import { hasRuleset, keepTranslation, removeRuleset } from '#kernel/nftables/ruleset.ts';
import { isBpffs } from '#kernel/node/mounts.ts';

interface Options {
  readonly stateDir: string;
  readonly journalDir: string;
  readonly conntrackMark: string;
}

/** `weir cleanup`: this network namespace and one state folder are as if weir had never run, but for what open connections need. */
export function cleanupCommand(): Command {
  return new Command('cleanup')
    .description('remove everything that weir left: programs, tables, pins, table inet weir, the journal')
    .option('--state-dir <dir>', 'bpffs folder that holds the pins', DEFAULT_STATE_DIR)
    .option('--journal-dir <dir>', 'folder that the agent was given, empty for none', DEFAULT_JOURNAL_DIR)
    .option('--conntrack-mark <bit>', 'bit of ct->mark that the agent was given', `0x${DEFAULT_CONNTRACK_MARK.toString(16)}`)
    .addHelpText(
      'after',
      `
Open connections go on. Those that packets translated need the NAT chains of table inet weir: while some live, these chains stay and
it is said; run it again later. Conntrack entries and sockets are not touched. A running agent must be stopped first.`,
    )
    .action(async ({ stateDir, journalDir, conntrackMark }: Options, command: Command) => {
      const read = readSettings(new Map([['conntrack-mark', { text: conntrackMark, from: '--conntrack-mark' }]]));
      const mark = read.mark('conntrack-mark', DEFAULT_CONNTRACK_MARK);
      for (const error of read.errors) command.error(`weir cleanup: ${error}`);
      await lockNode();
      if (isBpffs(stateDir)) lockState(stateDir).close();
      const lines = [...removeState(stateDir), ...removeJournalOf(journalDir, stateDir), ...removeOrKeepRuleset(mark)];
      process.stdout.write(lines.length > 0 ? `${lines.join('\n')}\n` : 'Nothing of weir was here\n');
    });
}

function removeOrKeepRuleset(conntrackMark: number): string[] {
  if (!hasRuleset()) return [];
  const flows = countConntrackEntries(conntrackMark);
  if (flows === 0) {
    removeRuleset();
    return ['Removed table inet weir'];
  }
  keepTranslation();
  return [`Kept the NAT chains of table inet weir for ${flows} conntrack entries: run "weir cleanup" again when they have ended`];
}
