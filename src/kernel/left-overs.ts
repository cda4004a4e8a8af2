import type { PathLeftOvers } from '#reconcile/ports/datapath.ts';
import { countConntrackEntries } from './netlink/conntrack.ts';
import { hasRuleset, keepTranslation, removeRuleset } from './nftables/ruleset.ts';

/**
 * Table `inet weir`, whose NAT chains translate the flows that the programs put into the kernel's connection tracking. `mark`: bit of ct->mark
 * on these flows.
 */
export const conntrackLeftOvers = (mark: number): PathLeftOvers => ({
  remove() {
    if (!hasRuleset()) return [];
    const flows = countConntrackEntries(mark);
    if (flows === 0) {
      removeRuleset();
      return ['Removed table inet weir'];
    }
    keepTranslation();
    return [`Kept the NAT chains of table inet weir for ${flows} conntrack entries: run "weir cleanup" again when they have ended`];
  },
});
