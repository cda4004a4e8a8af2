/**
 * The first judge of table `inet weir`: its verdict on the first packet of a flow that the programs do not translate, such as SCTP. It
 * reads the items that depend on Services.
 */

import type { Choice, Dialled } from '#explain/verdict.ts';
import { type Address, type Family, familyOf, parsePrefix, prefixContains } from '#lib/address.ts';
import { itemId, type RulesetChain, type RulesetItem, type SetName } from '#reconcile/ports/ruleset.ts';

/** State of a node outside the items. */
export interface RulesetSurroundings {
  /** The node's source address on the route to an address; undefined for local delivery, which keeps the source. */
  sourceFor(address: Address): Address | undefined;
}

export interface RulesetDial extends Dialled {
  readonly source: Address;
  /** Device by which it enters the node; undefined for a process of the node. */
  readonly ifindex: number | undefined;
}

/** Verdict of the table on a flow. */
export type RulesetVerdict =
  | { readonly kind: 'refused' | 'dropped' | 'passed' }
  | { readonly kind: 'translated'; readonly choices: readonly Choice[] };

export type RulesetTracer = (dial: RulesetDial) => RulesetVerdict;

const SCTP = 132;

/** Throws if an item refers to a missing chain. */
export function createRulesetTracer(items: Iterable<RulesetItem>, around: RulesetSurroundings): RulesetTracer {
  const held = new Map([...items].map((item) => [itemId(item), item]));
  const find = (set: `${SetName}${Family}` | 'pod_devices', key: string | number) => {
    const item = held.get(`${set} ${key}`);
    return item?.kind === 'element' ? item : undefined;
  };
  const chainNamed = (name: string): RulesetChain => {
    const item = held.get(`chain ${name}`);
    if (item?.kind !== 'chain') throw new Error(`An item refers to chain ${name}, which must exist`);
    return item;
  };
  const targetsOf = (name: string): readonly { readonly address: Address; readonly port: number }[] =>
    chainNamed(name).rules.flatMap((rule) =>
      rule.kind === 'translate' ? rule.backends : rule.kind === 'choose' ? rule.chains.flatMap(targetsOf) : [],
    );
  const networksIn = (set: 'local_nets' | 'service_cidrs') =>
    [...held.values()].flatMap((item) => (item.kind === 'element' && item.set.startsWith(set) ? (parsePrefix(item.key) ?? []) : []));
  const [localNets, serviceCIDRs] = [networksIn('local_nets'), networksIn('service_cidrs')];

  const sideOf = ({ source, ifindex }: RulesetDial): 'local' | 'outside' => {
    const isPod = ifindex !== undefined && find('pod_devices', ifindex) !== undefined;
    return isPod || ifindex === undefined || localNets.some((net) => prefixContains(net, source)) ? 'local' : 'outside';
  };
  const isAdmitted = ({ address, port, source }: RulesetDial): boolean => {
    const ranged = find(`sctp_ranged${familyOf(address)}`, `${address} . ${port}`)?.verdict;
    if (typeof ranged !== 'object') return true;
    return chainNamed(ranged.chain).rules.every(
      (rule) => rule.kind !== 'admit' || rule.prefixes.some((range) => prefixContains(range, source)),
    );
  };
  const verdictFor = (what: 'sctp' | 'snat', dial: RulesetDial) => {
    const { address, port } = dial;
    const [family, side] = [familyOf(address), sideOf(dial)];
    const own = find(`${what}_${side}${family}`, `${address} . ${port}`);
    const isOfNode = find(`node_addresses${family}`, address) !== undefined;
    return (own ?? (isOfNode ? find(`${what}_node_ports_${side}${family}`, port) : undefined))?.verdict;
  };
  const getsNewSource = (dial: RulesetDial, backend: Address): boolean => {
    const { address, source, ifindex } = dial;
    if (ifindex === undefined || find(`hairpin${familyOf(address)}`, `${source} . ${backend}`) !== undefined) return true;
    return verdictFor('snat', dial) === 'masquerade';
  };
  const untranslated = (address: Address): RulesetVerdict => {
    if (find(`cluster_ips${familyOf(address)}`, address) !== undefined) return { kind: 'refused' };
    return { kind: serviceCIDRs.some((range) => prefixContains(range, address)) ? 'dropped' : 'passed' };
  };

  return (dial) => {
    if (dial.protocol !== SCTP) return untranslated(dial.address);
    if (!isAdmitted(dial)) return { kind: 'dropped' };
    const verdict = verdictFor('sctp', dial);
    if (verdict === undefined) return untranslated(dial.address);
    if (typeof verdict === 'string') return { kind: verdict === 'drop' ? 'dropped' : 'refused' };
    const choices = targetsOf(verdict.chain).map(({ address, port }) => {
      const source = getsNewSource(dial, address) ? around.sourceFor(address) : undefined;
      return { address, port, source: source ?? dial.source };
    });
    return { kind: 'translated', choices };
  };
}
