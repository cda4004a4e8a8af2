import { type Family, familyOf } from '#lib/address.ts';
import type { Ruleset, RulesetItem } from '#reconcile/ports/ruleset.ts';
import { sysctl } from '../node/sysctl.ts';
import { readBackendMaps } from './backend-maps.ts';
import { changeText } from './change-text.ts';
import { runNft } from './libnftables.ts';
import { chainsOf, inetTables, setsOf } from './nft-tables.ts';
import { NAT_HOOKS, type RulesetOptions, revisionOf, rulesetText } from './table-text.ts';

// Adds the table first, so that deleting it does not fail the first time.
const REPLACE = 'add table inet weir\ndelete table inet weir\n';

const BACKEND_MAPS = ['backends4', 'backends6'];

type NodeOptions = Omit<RulesetOptions, 'dropInvalid' | 'dropResets'>;

/** Table `inet weir` of this network namespace, for a reconciler. `fillBackends` writes the maps of a new table. */
export const createRuleset = (options: NodeOptions, fillBackends: () => void): Ruleset => ({
  install(items) {
    if (!installRuleset(options, items)) fillBackends();
  },
  change: (change) => void runNft(changeText(change)),
  isThere: hasRuleset,
});

/**
 * Installs or replaces table `inet weir` in this network namespace, in one transaction. Elements of `backends4` and `backends6` stay, because
 * packet programs use them. Returns false if there were none.
 */
export function installRuleset(options: NodeOptions, items: readonly RulesetItem[] = []): boolean {
  const text = rulesetText({ ...options, ...invalidPackets() });
  const filling = changeText({ add: items, replace: [], remove: [] });
  const earlier = inetTables().get('weir');
  if (earlier?.endsWith(revisionOf(text))) runNft(`${emptyTable(text)}${text}${filling}`);
  else {
    const backends = earlier === undefined ? undefined : backendsText();
    runNft(`${REPLACE}${text}${filling}\n${backends ?? ''}`);
    return backends !== undefined;
  }
  return true;
}

/** Removes everything from a table of the same revision but its sets, its maps and the elements of `backends4` and `backends6`. */
function emptyTable(text: string): string {
  const declared = new Map([...text.matchAll(/^ *(chain|set|map) (\w+) /gm)].map(([, kind, name]) => [name, kind]));
  const [chains, sets] = [chainsOf('weir'), setsOf('weir')];
  const isOwn = (name: string): boolean => !declared.has(name);
  return [
    'flush table inet weir',
    ...sets.filter((name) => !BACKEND_MAPS.includes(name)).map((name) => `flush ${declared.get(name) ?? 'set'} inet weir ${name}`),
    ...sets.filter(isOwn).map((name) => `delete set inet weir ${name}`),
    ...chains.filter(isOwn).map((name) => `delete chain inet weir ${name}`),
    '',
  ].join('\n');
}

/** Commands that add the present elements of `backends4` and `backends6`; undefined if there are no such maps. */
function backendsText(): string | undefined {
  const elements: Record<Family, string[]> = { 4: [], 6: [] };
  const areThere = readBackendMaps(({ id, address, port }) => {
    elements[familyOf(address)].push(`${(id >>> 16).toString(16)}:${(id & 0xffff).toString(16)} : ${address} . ${port}`);
  });
  if (!areThere) return undefined;
  return ([4, 6] as const)
    .filter((family) => elements[family].length > 0)
    .map((family) => `add element inet weir backends${family} { ${elements[family].join(', ')} }`)
    .join('\n');
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
export const hasRuleset = (): boolean => inetTables().has('weir');

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
