import { removeState } from './bpf/cleanup.ts';
import { countConntrackEntries } from './netlink/conntrack.ts';
import { hasRuleset, keepTranslation, removeRuleset } from './nftables/ruleset.ts';

interface LeftOvers {
  /** bpffs folder with the pins. */
  readonly stateDir: string;
  /** Bit of ct->mark on translated flows. */
  readonly conntrackMark: number;
}

/**
 * Removes what the paths left in this network namespace and under a state folder; returns a line for each. Keeps what living flows of a packet
 * path need.
 */
export const removeLeftOvers = ({ stateDir, conntrackMark }: LeftOvers): string[] => [
  ...removeState(stateDir),
  ...removeOrKeepRuleset(conntrackMark),
];

/** The NAT chains of the table translate the flows of the packet path. */
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
