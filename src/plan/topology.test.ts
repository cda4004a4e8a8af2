import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST } from '#abi/generated.ts';
import type { Endpoint } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import { endpoint, service, slice } from '#support/model-objects.ts';
import type { NodeView } from './node-view.ts';
import { planService } from './plan-service.ts';

/*
 * The decisions of upstream's TestCategorizeEndpoints (pkg/proxy/topology_test.go, Kubernetes 1.37), tested on complete plans. `cluster`
 * and `local` are the last numbers of the addresses in that list; an unused list is empty. Upstream's case of a disabled feature gate
 * is left out, because that gate is locked since 1.35.
 */
interface Case {
  readonly name: string;
  readonly zone?: string;
  readonly nodeName?: string;
  readonly policies?: Partial<Service>;
  readonly endpoints: readonly Partial<Endpoint>[];
  readonly cluster: readonly number[];
  readonly local?: readonly number[];
}

const zones = (...hintZones: string[]): Partial<Endpoint> => ({ hintZones });
const spot = (zone: string, node: string): Partial<Endpoint> => ({ hintZones: [zone], hintNodes: [node] });
const HERE: Partial<Endpoint> = { nodeName: 'here' };
const THERE: Partial<Endpoint> = { nodeName: 'there' };
const UNREADY: Partial<Endpoint> = { ready: false, serving: false };
const LEAVING: Partial<Endpoint> = { ready: false, serving: true, terminating: true };
const FOUR_ZONES = [zones('zone-a'), zones('zone-b'), zones('zone-c'), zones('zone-a')];
const FOUR_SPOTS = [spot('zone-a', 'node-1'), spot('zone-b', 'node-2'), spot('zone-c', 'node-3'), spot('zone-a', 'node-4')];
const TWO_OF_FOUR_HERE = FOUR_ZONES.map((one, i) => (i < 2 ? { ...one, ...HERE } : one));
const NODE_PORT = { ports: [{ name: 'p80', protocol: 'TCP', port: 80, nodePort: 8080 }] } as const;
const ITP_LOCAL: Partial<Service> = { internalTrafficPolicy: 'Local' };
const ETP_LOCAL: Partial<Service> = { externalTrafficPolicy: 'Local', ...NODE_PORT };

const cases: readonly Case[] = [
  { name: 'all endpoints have zone hints and some name this zone', zone: 'zone-a', endpoints: FOUR_ZONES, cluster: [1, 4] },
  {
    name: 'topology does not narrow the local list of externalTrafficPolicy Local',
    zone: 'zone-a',
    policies: ETP_LOCAL,
    endpoints: TWO_OF_FOUR_HERE,
    cluster: [1, 4],
    local: [1, 2],
  },
  {
    name: 'topology does not narrow the local list of internalTrafficPolicy Local',
    zone: 'zone-a',
    policies: { ...ITP_LOCAL, ...NODE_PORT },
    endpoints: TWO_OF_FOUR_HERE,
    cluster: [1, 4],
    local: [1, 2],
  },
  { name: 'a node without a zone ignores hints', endpoints: [zones('zone-a')], cluster: [1] },
  { name: 'a node with an empty zone ignores hints', zone: '', endpoints: [zones('zone-a')], cluster: [1] },
  { name: 'no hint names the zone of this node', zone: 'zone-b', endpoints: [zones('zone-a')], cluster: [1] },
  {
    name: 'an unready endpoint hinted for this zone is not used',
    zone: 'zone-a',
    endpoints: [zones('zone-a'), zones('zone-b'), zones('zone-c'), { ...zones('zone-a'), ...UNREADY }],
    cluster: [1],
  },
  {
    name: 'hints for this zone on only unready endpoints do not narrow',
    zone: 'zone-a',
    endpoints: [{ ...zones('zone-a'), ...UNREADY }, zones('zone-b'), zones('zone-c'), { ...zones('zone-a'), ...UNREADY }],
    cluster: [2, 3],
  },
  {
    name: 'one endpoint without a hint disables all hints',
    zone: 'zone-a',
    endpoints: [zones('zone-a'), zones('zone-b'), {}, zones('zone-a')],
    cluster: [1, 2, 3, 4],
  },
  {
    name: 'an endpoint may be hinted for several zones',
    zone: 'zone-c',
    endpoints: [zones('zone-a', 'zone-b', 'zone-c'), zones('zone-b', 'zone-c'), zones('zone-b', 'zone-d'), zones('zone-c')],
    cluster: [1, 2, 4],
  },
  { name: 'an endpoint hinted for this node is preferred', zone: 'zone-a', nodeName: 'node-1', endpoints: FOUR_SPOTS, cluster: [1] },
  {
    name: 'node hints have no effect while one endpoint has none',
    zone: 'zone-a',
    nodeName: 'node-1',
    endpoints: [FOUR_SPOTS[0] ?? {}, {}, FOUR_SPOTS[2] ?? {}, FOUR_SPOTS[3] ?? {}],
    cluster: [1, 2, 3, 4],
  },
  {
    name: 'zone hints apply if no node hint names this node',
    zone: 'zone-a',
    nodeName: 'node-0',
    endpoints: FOUR_SPOTS,
    cluster: [1, 4],
  },
  {
    name: 'topology and local list overlap partially',
    zone: 'zone-a',
    policies: ETP_LOCAL,
    endpoints: [
      { ...zones('zone-a'), ...HERE },
      { ...zones('zone-b'), ...HERE },
      { ...zones('zone-a'), ...THERE },
      { ...zones('zone-b'), ...THERE },
    ],
    cluster: [1, 3],
    local: [1, 2],
  },
  { name: 'internal policy Local without any endpoint', policies: ITP_LOCAL, endpoints: [], cluster: [] },
  { name: 'internal policy Local with remote endpoints only', policies: ITP_LOCAL, endpoints: [THERE, THERE], cluster: [], local: [] },
  { name: 'internal policy Local with local endpoints only', policies: ITP_LOCAL, endpoints: [HERE, HERE], cluster: [], local: [1, 2] },
  { name: 'internal policy Local with some local endpoints', policies: ITP_LOCAL, endpoints: [HERE, THERE], cluster: [], local: [1] },
  { name: 'policy Cluster without a ready endpoint', endpoints: [UNREADY, UNREADY], cluster: [] },
  { name: 'policy Cluster with one ready endpoint', endpoints: [UNREADY, {}], cluster: [2] },
  {
    name: 'policy Cluster while every endpoint terminates',
    endpoints: [
      { ...LEAVING, ...HERE },
      { ...LEAVING, ...THERE },
    ],
    cluster: [1, 2],
  },
  {
    name: 'internal Local, external Cluster',
    policies: { ...ITP_LOCAL, ...NODE_PORT },
    endpoints: [HERE, THERE],
    cluster: [1, 2],
    local: [1],
  },
  { name: 'internal Cluster, external Local', policies: ETP_LOCAL, endpoints: [HERE, THERE], cluster: [1, 2], local: [1] },
  {
    name: 'both policies Local, some endpoints local',
    policies: { ...ITP_LOCAL, ...ETP_LOCAL },
    endpoints: [HERE, THERE],
    cluster: [1, 2],
    local: [1],
  },
  {
    name: 'both policies Local, every endpoint remote',
    policies: { ...ITP_LOCAL, ...ETP_LOCAL },
    endpoints: [THERE, THERE],
    cluster: [1, 2],
  },
  {
    name: 'both policies Local, every endpoint remote and terminating',
    policies: { ...ITP_LOCAL, ...ETP_LOCAL },
    endpoints: [
      { ...LEAVING, ...THERE },
      { ...LEAVING, ...THERE },
    ],
    cluster: [1, 2],
  },
  {
    name: 'external Local falls back to a terminating local endpoint although a remote one is ready',
    policies: ETP_LOCAL,
    endpoints: [THERE, { ...UNREADY, ...HERE }, { ...LEAVING, ...HERE }, { ...LEAVING, ...THERE }],
    cluster: [1],
    local: [3],
  },
  {
    name: 'external policy Local has no effect without an external address',
    policies: { externalTrafficPolicy: 'Local' },
    endpoints: [THERE, HERE],
    cluster: [1, 2],
  },
  {
    name: 'internal policy Local without an external address needs no cluster list',
    policies: ITP_LOCAL,
    endpoints: [THERE, HERE],
    cluster: [],
    local: [2],
  },
  { name: 'no endpoints at all', endpoints: [], cluster: [] },
  { name: 'one endpoint that is neither ready nor serving', zone: 'zone-a', endpoints: [UNREADY], cluster: [] },
];

for (const { name, zone = '', nodeName = 'here', policies = {}, endpoints, cluster, local = [] } of cases) {
  test(`topology: ${name}`, () => {
    const view: NodeView = {
      nodeName,
      zone,
      hasLocalDetector: { 4: true, 6: true },
      masqueradeAll: false,
      primaryAddresses: { 4: undefined, 6: undefined },
    };
    const slices = [slice(endpoints.map((one, i) => endpoint(`10.1.2.${i + 1}`, one)))];
    const [plan, ...others] = planService(service(policies), slices, view);
    assert.ok(plan !== undefined && others.length === 0);
    const listed = (flag: number) =>
      plan.backends.filter(({ flags }) => (flags & flag) !== 0).map((one) => Number(one.address.slice('10.1.2.'.length)));
    assert.deepEqual(listed(BACKEND_CLUSTER_LIST).sort(), cluster);
    assert.deepEqual(listed(BACKEND_LOCAL_LIST).sort(), local);
  });
}
