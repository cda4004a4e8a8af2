import type { PathLeftOvers } from '#reconcile/ports/datapath.ts';
import { removeState } from './bpf/cleanup.ts';
import { countConntrackEntries } from './netlink/conntrack.ts';
import { hasRuleset, keepTranslation, removeRuleset } from './nftables/ruleset.ts';

interface Place {
  /** bpffs folder with the pins. */
  readonly stateDir: string;
  /** Bit of ct->mark on translated flows. */
  readonly conntrackMark: number;
}

/**
 * Removes what the agents left in this network namespace and under a state folder; returns a line for each. Keeps what living flows of a packet
 * path need.
 */
export function removeLeftOvers({ stateDir, conntrackMark }: Place): string[] {
  const paths = [conntrackLeftOvers(conntrackMark)];
  // Counted first: a path may keep its flows in the tables
  const living = paths.map((path) => path.countFlows());
  return [...removeState(stateDir), ...paths.flatMap((path, i) => path.remove(living[i] ?? 0))];
}

/** The NAT chains of table `inet weir` translate the flows that the programs put into the kernel's connection tracking. */
const conntrackLeftOvers = (conntrackMark: number): PathLeftOvers => ({
  countFlows: () => (hasRuleset() ? countConntrackEntries(conntrackMark) : 0),
  remove(flows) {
    if (!hasRuleset()) return [];
    if (flows > 0) {
      keepTranslation();
      return [`Kept the NAT chains of table inet weir for ${flows} conntrack entries: run "weir cleanup" again when they have ended`];
    }
    removeRuleset();
    return ['Removed table inet weir'];
  },
});
