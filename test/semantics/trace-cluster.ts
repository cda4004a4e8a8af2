/** The first judge: a scenario's cluster by the agents' tables alone, with a network that delivers the packets that weir passes. */
import { type Choice, createExplainer, type Dialled, type Explainer, type Verdict } from '#explain/verdict.ts';
import { type Address, familyOf } from '#lib/address.ts';
import type { ModelObject } from '#model/objects.ts';
import { createPlanningAgent, podDevice, UPLINK } from './agents.ts';
import { createRulesetTracer, type RulesetTracer, type RulesetVerdict } from './ruleset-tracer.ts';
import type { Answer, Question, Scenario } from './scenario.ts';
import { PLACES } from './world.ts';

export interface TracedCluster {
  follow(objects: readonly ModelObject[]): void;
  ask(question: Question): Answer;
}

const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

interface TracedNode {
  readonly name: string;
  readonly explainer: Explainer;
  readonly ruleset: RulesetTracer;
  readonly addresses: readonly Address[];
}

/** Creates agents of both nodes with the flags of a scenario. */
export function createTracedCluster({ agent: flags }: Pick<Scenario, 'agent'>): TracedCluster {
  const agents = new Map(['n1', 'n2'].map((name) => [name, createPlanningAgent(name, flags)]));
  let nodes: readonly TracedNode[] = [];

  const nodeNamed = (name: string): TracedNode => {
    const node = nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`The question names node ${name}, which must exist`);
    return node;
  };

  /** Verdict of the programs on a packet; the ruleset's verdict if the programs pass it. */
  const packet = (node: TracedNode, dialled: Dialled, { from, source }: Pick<Question, 'from' | 'source'>): Verdict | RulesetVerdict => {
    const ifindex = deviceOf(from, node.name);
    const verdict = ifindex === undefined ? undefined : node.explainer.packet({ ...dialled, source, ifindex });
    return verdict === undefined || verdict.kind === 'passed' ? node.ruleset({ ...dialled, source, ifindex }) : verdict;
  };

  /** The answer of a node, and of the next nodes if it passes the packet. */
  const hop = (node: TracedNode, dialled: Dialled, { from, source, via }: Pick<Question, 'from' | 'source' | 'via'>): Answer => {
    const verdict = via === 'sockets' ? askSocket(node, dialled, from) : packet(node, dialled, { from, source });
    if (verdict.kind === 'translated') return verdict.choices.map((choice) => answerer(choice, source));
    if (verdict.kind !== 'passed') return verdict.kind;
    if (via === 'sockets') return hop(node, dialled, { from, source, via: 'packets' });
    const receiver = nodes.find(({ addresses }) => addresses.includes(dialled.address));
    if (receiver !== undefined && receiver !== node) return hop(receiver, dialled, { from, source, via: 'packets' });
    const pod = PLACES.find(({ kind, addresses }) => kind === 'pod' && Object.values(addresses).includes(dialled.address));
    return pod === undefined ? 'untouched' : [{ name: pod.name, client: source, port: dialled.port }];
  };

  return {
    follow(objects) {
      for (const agent of agents.values()) agent.follow(objects);
      nodes = objects.flatMap((object) => {
        const agent = object.kind === 'Node' ? agents.get(object.key) : undefined;
        if (object.kind !== 'Node' || agent === undefined) return [];
        const { addresses } = object.value;
        const leavesBy = (address: Address): number | undefined => (addresses.includes(address) ? undefined : wayTo(address, object.key));
        const sourceFor = (address: Address): Address | undefined =>
          addresses.find((own) => familyOf(own) === familyOf(address) && !addresses.includes(address));
        return [
          {
            name: object.key,
            addresses,
            explainer: createExplainer(agent.tables, leavesBy),
            ruleset: createRulesetTracer(agent.ruleset(), { sourceFor }),
          },
        ];
      });
    },
    ask: (question) => hop(nodeNamed(question.by), { ...question, protocol: PROTOCOLS[question.protocol] }, question),
  };
}

const askSocket = (node: TracedNode, dialled: Dialled, from: string): Verdict =>
  node.explainer.socket({ ...dialled, ofNode: from === node.name });

/** Device by which packets of a client enter a node; undefined if the client is the node. */
function deviceOf(from: string, node: string): number | undefined {
  if (from === node) return undefined;
  const pod = PLACES.find(({ name, kind }) => name === from && kind === 'pod');
  return pod?.node === node ? podDevice(from) : UPLINK;
}

function wayTo(address: Address, node: string): number {
  const pod = PLACES.find((place) => place.kind === 'pod' && place.node === node && Object.values(place.addresses).includes(address));
  return pod === undefined ? UPLINK : podDevice(pod.name);
}

function answerer({ address, port, source }: Choice, client: Address): Exclude<Answer, string>[number] {
  const place = PLACES.find(({ addresses }) => Object.values(addresses).includes(address));
  return { name: place?.name ?? address, client: source ?? client, port };
}
