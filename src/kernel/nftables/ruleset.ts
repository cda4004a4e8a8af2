import type { Ruleset, RulesetItem } from '#reconcile/ports/ruleset.ts';
import { sysctl } from '../node/sysctl.ts';
import { runNft } from './libnftables.ts';
import { inetTables } from './nft-tables.ts';
import { changeText, type RulesetOptions, rulesetText } from './ruleset-text.ts';

// Added first, so that deleting it is no error the first time.
const REPLACE = 'add table inet weir\ndelete table inet weir\n';

type NodeOptions = Omit<RulesetOptions, 'dropInvalid' | 'dropResets'>;

/** Table `inet weir` of this network namespace, for a reconciler. */
export const createRuleset = (options: NodeOptions): Ruleset => ({
  install: (items) => installRuleset(options, items),
  change: (change) => void runNft(changeText(change)),
  isThere: hasRuleset,
});

/** Installs or replaces table `inet weir` in this network namespace, in one transaction. */
export function installRuleset(options: NodeOptions, items: readonly RulesetItem[] = []): void {
  const filling = changeText({ add: items, replace: [], remove: [] });
  runNft(`${REPLACE}${rulesetText({ ...options, ...invalidPackets() })}${filling}`);
}

/** Reduces table `inet weir` to what translates flows that live already: their packets and replies go on. */
export function keepTranslation(): void {
  runNft(`${REPLACE}table inet weir {\n  comment "weir: kept for flows that it translated"${NAT_CHAINS}\n}\n`);
}

const NAT_CHAINS = `
  chain nat_prerouting {
    type nat hook prerouting priority -100; policy accept
    ct state new counter comment "turns connection tracking on, decides nothing"
  }
  chain nat_input { type nat hook input priority 100; policy accept; }
  chain nat_output { type nat hook output priority -100; policy accept; }
  chain nat_postrouting { type nat hook postrouting priority 100; policy accept; }`;

/** Removes table `inet weir` from this network namespace. Says whether it was there. */
export function removeRuleset(): boolean {
  if (!hasRuleset()) return false;
  runNft('delete table inet weir');
  return true;
}

/** Whether table `inet weir` is in this network namespace. */
export const hasRuleset = (): boolean => inetTables().includes('weir');

/**
 * What becomes of packets that conntrack calls invalid (nf_conntrack-sysctl.rst). Where it is liberal those are only resets outside the
 * window. Where it is not loose every packet of a connection is invalid whose start it did not see: a reset is then the one way to tell
 * the other end that this node knows it no longer, and must not be lost.
 */
function invalidPackets(): Pick<RulesetOptions, 'dropInvalid' | 'dropResets'> {
  const isOn = (name: string): boolean => !['0', undefined].includes(sysctl(`net.netfilter.nf_conntrack_tcp_${name}`));
  const dropInvalid = !isOn('be_liberal');
  return { dropInvalid, dropResets: dropInvalid && isOn('loose') };
}
