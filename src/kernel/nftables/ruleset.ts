import type { Ruleset, RulesetItem } from '#reconcile/ports/ruleset.ts';
import { sysctl } from '../node/sysctl.ts';
import { changeText } from './change-text.ts';
import { runNft } from './libnftables.ts';
import { inetTables } from './nft-tables.ts';
import { NAT_HOOKS, type RulesetOptions, rulesetText } from './table-text.ts';

// Adds the table first, so that deleting it does not fail the first time.
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

/** Reduces table `inet weir` to the chains that translate living flows: their packets and replies go on. */
export function keepTranslation(): void {
  runNft(`${REPLACE}table inet weir { comment "weir: kept for flows that it translated"; }\n${NAT_HOOKS}`);
}

/** Removes table `inet weir` from this network namespace. Returns whether it existed. */
export function removeRuleset(): boolean {
  if (!hasRuleset()) return false;
  runNft('delete table inet weir');
  return true;
}

/** Whether table `inet weir` is in this network namespace. */
export const hasRuleset = (): boolean => inetTables().includes('weir');

/**
 * The treatment of packets that conntrack calls invalid (nf_conntrack-sysctl.rst). If conntrack is liberal, only resets outside the window are
 * invalid. If it is not loose, every packet of a connection whose start it did not see is invalid: only a reset tells the other end that
 * this node no longer knows the connection, so it must not be lost.
 */
function invalidPackets(): Pick<RulesetOptions, 'dropInvalid' | 'dropResets'> {
  const isOn = (name: string): boolean => !['0', undefined].includes(sysctl(`net.netfilter.nf_conntrack_tcp_${name}`));
  const dropInvalid = !isOn('be_liberal');
  return { dropInvalid, dropResets: dropInvalid && isOn('loose') };
}
