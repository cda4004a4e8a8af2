import type { Family } from '#lib/address.ts';
import { questionsOf } from '../semantics/expectations.ts';
import { parseScenario } from '../semantics/read-scenario.ts';
import type { Question, Scenario, Step } from '../semantics/scenario.ts';
import type { DrawnCluster, DrawnService } from './arbitrary-cluster.ts';
import type { Cluster } from './oracle.ts';
import type { NodeObject, ServiceObject, SliceObject } from './oracle-objects.ts';

/** A cluster and all its questions. */
export interface Asked {
  readonly scenario: Scenario;
  readonly step: Step;
  /** The step for the oracle. */
  readonly cluster: Cluster;
  readonly questions: readonly Question[];
}

const SOURCES = ['n1', 'n2', 'a1', 'a3', 'b1', 'outside', 'blocked'];

/** Cache of the questions of each line. */
const known = new Map<string, readonly Question[]>();

function questionsIn(text: string, drawn: DrawnCluster): readonly Question[] {
  const nodeAddresses = new Map(Object.entries(drawn.nodes).map(([name, { addresses }]) => [name, addresses]));
  const families = (drawn.families ?? [4, 6]) as readonly Family[];
  const key = `${text} ${families} ${JSON.stringify([...nodeAddresses])}`;
  const questions = known.get(key) ?? questionsOf({ line: { number: 0, text }, families, nodeAddresses });
  known.set(key, questions);
  return questions;
}

/** All questions of a cluster, with placeholder answers. */
export function askEverything(drawn: DrawnCluster): Asked {
  const scenario = parseScenario('drawn', JSON.stringify(drawn));
  const [step] = scenario.steps;
  if (step === undefined) throw new Error('A scenario has a first step');
  const questions = lines(drawn).flatMap((text) => questionsIn(text, drawn));
  return { scenario, step, cluster: clusterOf(scenario, step), questions };
}

function clusterOf({ agent }: Scenario, { manifests }: Step): Cluster {
  const all = JSON.parse(JSON.stringify(manifests)) as readonly (ServiceObject | SliceObject | NodeObject)[];
  return {
    flags: new Map(agent.map((flag) => [flag.slice(2, flag.indexOf('=')), flag.slice(flag.indexOf('=') + 1)])),
    services: all.filter((object) => object.kind === 'Service'),
    slices: all.filter((object) => object.kind === 'EndpointSlice'),
    nodes: all.filter((object) => object.kind === 'Node'),
  };
}

/** Lines of `expect` with a placeholder answer. */
const lines = (drawn: DrawnCluster): readonly string[] =>
  [...new Set([...targetsOf(drawn), '172.30.0.99:80'])].flatMap((target) =>
    SOURCES.flatMap((source) => waysOf(source, target).map((way) => `${source} -> ${target}${way}: dropped`)),
  );

/** Only nodes dial loopback; outsiders come by either node. */
function waysOf(source: string, target: string): readonly string[] {
  if (target.startsWith('127.')) return source === 'n1' || source === 'n2' ? [''] : [];
  return source === 'outside' ? [' by n1', ' by n2'] : [''];
}

function targetsOf({ nodes, services }: DrawnCluster): readonly string[] {
  const own = Object.values(nodes).flatMap(({ addresses }) => addresses);
  const ports = [...new Set(Object.values(services).flatMap(portTexts))];
  const addresses = new Set([...Object.values(services).flatMap(serviceAddresses), ...own, '127.0.0.1']);
  return [...addresses].flatMap((address) =>
    ports.filter((port) => !(address.startsWith('127.') && port.endsWith('/sctp'))).map((port) => `${address}:${port}`),
  );
}

const serviceAddresses = ({ spec, status }: DrawnService): readonly string[] => [
  ...(spec.clusterIP === undefined || spec.clusterIP === 'None' ? [] : [spec.clusterIP]),
  ...(spec.externalIPs ?? []),
  ...(status?.loadBalancer.ingress ?? []).map(({ ip }) => ip),
];

const portTexts = ({ spec }: DrawnService): readonly string[] =>
  (spec.ports ?? []).flatMap(({ port, nodePort, protocol }) =>
    [port, ...(nodePort === undefined ? [] : [nodePort])].map(
      (number) => `${number}${protocol === 'TCP' ? '' : `/${protocol.toLowerCase()}`}`,
    ),
  );
