import { createProgrammer } from '#agent/programmer.ts';
import { createStore } from '#agent/store.ts';
import { type Address, type Family, familyOf, type Prefix, parsePrefix, prefixContains } from '#lib/address.ts';
import type { Node } from '#model/node.ts';
import type { ModelObject } from '#model/objects.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import { itemId, type RulesetItem, type SetName, type Verdict } from '#reconcile/ruleset.ts';
import { createRulesetReconciler } from '#reconcile/ruleset-reconciler.ts';
import { createPlanningAgent, podDevice, UPLINK } from '../semantics/agents.ts';
import type { Answer, Question, Scenario } from '../semantics/scenario.ts';
import { PLACES, type Place } from '../semantics/world.ts';
import { FakeRuleset } from './fake-ruleset.ts';

/*
 * What the rules of src/kernel/ruleset-text.ts make of SCTP flows, with what the agents of a cluster put into the sets and chains. It
 * reads those as nft would: one packet goes through prerouting (or output), then postrouting unless it stays on the node.
 */

/** Answers questions over SCTP. */
export function traceRuleset({ agent: flags }: Scenario, objects: readonly ModelObject[]): (question: Question) => Answer {
  const nodes = new Map(
    objects.flatMap((object) => (object.kind === 'Node' ? [[object.key, planNode(object.value, flags, objects)] as const] : [])),
  );
  const ask = (question: Question, by: string): Answer => {
    const node = nodes.get(by);
    if (node === undefined) throw new Error(`Node ${by} is asked, must exist`);
    const verdict = node.destination(question);
    if (verdict === 'refuse') return 'refused';
    if (verdict === 'drop') return 'dropped';
    if (verdict !== undefined)
      return verdict.map(({ address, port }) => ({ name: nameAt(address), port, client: node.source(question, address) }));
    const owner = [...nodes].find(([, { addresses }]) => addresses.includes(question.address))?.[0] ?? by;
    return owner === by ? 'untouched' : ask(question, owner);
  };
  return (question) => ask(question, question.by);
}

interface Backend {
  readonly address: Address;
  readonly port: number;
}

/** Table `inet weir` of one node. */
function planNode({ name, addresses }: Node, flags: readonly string[], objects: readonly ModelObject[]) {
  const { items, serviceCIDRs } = plannedItems(name, addresses, flags, objects);
  const find = (set: SetName, family: Family, key: string): RulesetItem | undefined => items.get(`${set}${family} ${key}`);
  const isOwn = ({ from }: Question): boolean => from === name;
  const sourceOf = (question: Question): Address => (isOwn(question) ? firstOf(addresses, question.family) : question.source);
  const placed = (question: Question): Place | undefined =>
    PLACES.find((place) => place.name === question.from && place.kind === 'pod' && place.node === name);

  const isPod = (question: Question): boolean => {
    const ifindex = placed(question) === undefined ? UPLINK : podDevice(question.from);
    const nets = [...items.values()].flatMap((item) =>
      item.kind === 'element' && item.set === `local_nets${question.family}` ? (parsePrefix(item.key) ?? []) : [],
    );
    return nets.some((net) => prefixContains(net, question.source)) || items.has(`pod_devices ${ifindex}`);
  };
  const sideOf = (question: Question): 'local' | 'outside' => (isOwn(question) || isPod(question) ? 'local' : 'outside');
  const isNodePort = ({ family, address }: Question): boolean => find('node_addresses', family, address) !== undefined;
  const backendsOf = (chain: string): readonly Backend[] => {
    const found = items.get(`chain ${chain}`);
    if (found?.kind !== 'chain') throw new Error(`Chain ${chain} is missing`);
    const next = found.rules.flatMap((rule) => (rule.kind === 'choose' ? rule.chains : []));
    return [...found.rules.flatMap((rule) => (rule.kind === 'translate' ? rule.backends : [])), ...next.flatMap(backendsOf)];
  };
  const isAdmitted = (question: Question): boolean => {
    const verdict = verdictOf(find('sctp_ranged', question.family, keyOf(question)));
    const chain = typeof verdict === 'object' ? items.get(`chain ${verdict.chain}`) : undefined;
    if (chain?.kind !== 'chain') return true;
    const prefixes: readonly Prefix[] = chain.rules.flatMap((rule) => (rule.kind === 'admit' ? rule.prefixes : []));
    return prefixes.some((range) => prefixContains(range, sourceOf(question)));
  };

  return {
    addresses,
    /** Backends, or what becomes of the packet; undefined: it goes on untranslated. */
    destination(question: Question): readonly Backend[] | 'drop' | 'refuse' | undefined {
      if (!isAdmitted(question)) return 'drop';
      const [side, { family, port, address }] = [sideOf(question), question];
      const nodePort = isNodePort(question) ? find(`sctp_node_ports_${side}`, family, String(port)) : undefined;
      const verdict = verdictOf(find(`sctp_${side}`, family, keyOf(question)) ?? nodePort);
      if (verdict !== undefined) return typeof verdict === 'object' ? backendsOf(verdict.chain) : verdict;
      if (find('cluster_ips', family, address) !== undefined) return 'refuse';
      return serviceCIDRs.some((range) => prefixContains(range, address)) ? 'drop' : undefined;
    },
    /** Of a flow that was translated to a backend. */
    source(question: Question, backend: Address): Address {
      const { family } = question;
      if (addresses.includes(backend)) return sourceOf(question);
      const [own, side] = [firstOf(addresses, family), sideOf(question)];
      const isHairpin = find('hairpin', family, `${question.source} . ${backend}`) !== undefined;
      const isMasked =
        find(`snat_${side}`, family, keyOf(question)) ??
        (isNodePort(question) ? find(`snat_node_ports_${side}`, family, String(question.port)) : undefined);
      return isOwn(question) || isHairpin || isMasked !== undefined ? own : question.source;
    },
  };
}

/** What the agent of a node puts into its table, by itemId(). */
function plannedItems(name: string, addresses: readonly Address[], flags: readonly string[], objects: readonly ModelObject[]) {
  const { config } = createPlanningAgent(name, flags);
  const [table, store] = [new FakeRuleset(1), createStore(name)];
  table.faultRate = 0;
  const ruleset = createRulesetReconciler({ ruleset: table, now: () => 0 });
  const elsewhere = { reconciler: { want() {}, wantNode() {} } as never, serviceHealth: { want() {}, listenAt() {} } };
  for (const object of objects) store.set(object);
  const bridge = config.localDetector.mode === 'BridgeInterface' ? { bridge: config.localDetector.name } : {};
  const devices: LocalDevice[] = PLACES.filter((place) => place.kind === 'pod' && place.node === name).map((pod) => ({
    ifindex: podDevice(pod.name),
    name: `veth-${pod.name}`,
    addresses: [],
    ...bridge,
  }));
  createProgrammer({ config, store, ruleset, netnsCookie: 1n, ...elsewhere }).plan([
    { ifindex: UPLINK, name: 'eth0', addresses },
    ...devices,
  ]);
  ruleset.flush(true);
  return { items: new Map(table.items().map((item) => [itemId(item), item])), serviceCIDRs: config.serviceCIDRs };
}

const keyOf = ({ address, port }: Question): string => `${address} . ${port}`;

const verdictOf = (item: RulesetItem | undefined): Verdict | undefined => (item?.kind === 'element' ? item.verdict : undefined);

const firstOf = (addresses: readonly Address[], family: Family): Address =>
  addresses.find((address) => familyOf(address) === family) ?? ('' as Address);

const nameAt = (address: Address): string => PLACES.find((place) => Object.values(place.addresses).includes(address))?.name ?? address;
