import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
} from '#abi/generated.ts';
import type { Endpoint } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import { address, endpoint, service, slice } from '#support/model-objects.ts';
import type { NodeView } from './node-view.ts';
import { planService } from './plan-service.ts';

/*
 * Section 1 of the Service rules, as upstream's TestInternalExternalMasquerade tests it (pkg/proxy/nftables/proxier_test.go): which
 * endpoints answer a pod, the node and an outsider at each kind of address, and which source address they see. The test reads a plan as
 * the programs do.
 */
const VIEW: NodeView = {
  nodeName: 'here',
  zone: '',
  hasLocalDetector: { 4: true, 6: true },
  masqueradeAll: false,
  primaryAddresses: { 4: address('192.168.0.2'), 6: undefined },
};
const BALANCED: Partial<Service> = {
  ports: [{ name: 'p80', protocol: 'TCP', port: 80, nodePort: 3001 }],
  externalIPs: [address('192.168.99.11')],
  loadBalancerIPs: [address('1.2.3.4')],
};
const ADDRESSES = { ClusterIP: '172.30.0.41', NodePort: '0.0.0.0', externalIP: '192.168.99.11', LoadBalancer: '1.2.3.4' } as const;

type Kind = keyof typeof ADDRESSES;
type Source = 'pod' | 'node' | 'outsider';

/** `all`, `local`, `drop` or `refuse`, and `+snat` where the source address is replaced; a socket of the node keeps its own. */
function answer(from: Source, to: Kind, policies: Partial<Service>, view: NodeView, endpoints: readonly Endpoint[]): string {
  const [plan] = planService(service({ ...BALANCED, ...policies }), [slice(endpoints)], view);
  const frontend = plan?.frontends.find((one) => one.address === ADDRESSES[to]);
  assert.ok(plan !== undefined && frontend !== undefined);
  const isLocalSource = from === 'node' || (from === 'pod' && view.hasLocalDetector[4]);
  const list = isLocalSource ? frontend.localSource : frontend.outsideSource;
  const flag = list === 'local' ? BACKEND_LOCAL_LIST : BACKEND_CLUSTER_LIST;
  const answering = plan.backends.filter(({ flags }) => (flags & flag) !== 0).length;
  if (answering === 0) return (frontend.flags & (isLocalSource ? FRONTEND_DROP_LOCAL : FRONTEND_DROP_OUTSIDE)) !== 0 ? 'drop' : 'refuse';
  const snat = from !== 'node' && (frontend.flags & (isLocalSource ? FRONTEND_SNAT_LOCAL : FRONTEND_SNAT_OUTSIDE)) !== 0;
  return `${answering === endpoints.length ? 'all' : 'local'}${snat ? '+snat' : ''}`;
}

const HERE_AND_THERE = [endpoint('10.180.0.1', { nodeName: 'here' }), endpoint('10.180.1.1', { nodeName: 'there' })];
const CLUSTER: Partial<Service> = {};
const ETP_LOCAL: Partial<Service> = { externalTrafficPolicy: 'Local' };
const ITP_LOCAL: Partial<Service> = { internalTrafficPolicy: 'Local' };

/** Columns: pod, node, outsider. */
const rows: readonly (readonly [string, Kind, Partial<Service>, string, string, string])[] = [
  ['policies Cluster', 'ClusterIP', CLUSTER, 'all', 'all', 'all+snat'],
  ['policies Cluster', 'NodePort', CLUSTER, 'all+snat', 'all', 'all+snat'],
  ['policies Cluster', 'externalIP', CLUSTER, 'all+snat', 'all', 'all+snat'],
  ['policies Cluster', 'LoadBalancer', CLUSTER, 'all+snat', 'all', 'all+snat'],
  ['external policy Local', 'ClusterIP', ETP_LOCAL, 'all', 'all', 'all+snat'],
  ['external policy Local', 'NodePort', ETP_LOCAL, 'all', 'all', 'local'],
  ['external policy Local', 'externalIP', ETP_LOCAL, 'all', 'all', 'local'],
  ['external policy Local', 'LoadBalancer', ETP_LOCAL, 'all', 'all', 'local'],
  ['internal policy Local', 'ClusterIP', ITP_LOCAL, 'local', 'local', 'local+snat'],
  ['internal policy Local', 'NodePort', ITP_LOCAL, 'all+snat', 'all', 'all+snat'],
  ['internal policy Local', 'externalIP', ITP_LOCAL, 'all+snat', 'all', 'all+snat'],
  ['internal policy Local', 'LoadBalancer', ITP_LOCAL, 'all+snat', 'all', 'all+snat'],
];

/** Cells that differ from `rows` under other settings, as `source kind policies`. */
const settings: readonly (readonly [string, Partial<NodeView>, Readonly<Record<string, string>>])[] = [
  ['a local detector', {}, {}],
  [
    'no local detector',
    { hasLocalDetector: { 4: false, 6: false } },
    {
      'outsider ClusterIP policies Cluster': 'all',
      'outsider ClusterIP external policy Local': 'all',
      'outsider ClusterIP internal policy Local': 'local',
      'pod NodePort external policy Local': 'local',
      'pod externalIP external policy Local': 'local',
      'pod LoadBalancer external policy Local': 'local',
    },
  ],
  [
    'masqueradeAll',
    { masqueradeAll: true },
    {
      'pod ClusterIP policies Cluster': 'all+snat',
      'pod ClusterIP external policy Local': 'all+snat',
      'pod ClusterIP internal policy Local': 'local+snat',
    },
  ],
  [
    'masqueradeAll and no local detector',
    { masqueradeAll: true, hasLocalDetector: { 4: false, 6: false } },
    {
      'pod ClusterIP policies Cluster': 'all+snat',
      'pod ClusterIP external policy Local': 'all+snat',
      'pod ClusterIP internal policy Local': 'local+snat',
      'pod NodePort external policy Local': 'local',
      'pod externalIP external policy Local': 'local',
      'pod LoadBalancer external policy Local': 'local',
    },
  ],
];

for (const [setting, view, exceptions] of settings) {
  test(`answering endpoints and source addresses with ${setting}`, () => {
    const unused = new Set(Object.keys(exceptions));
    for (const [policy, kind, policies, ...expected] of rows) {
      (['pod', 'node', 'outsider'] as const).forEach((source, i) => {
        const cell = `${source} ${kind} ${policy}`;
        unused.delete(cell);
        assert.equal(answer(source, kind, policies, { ...VIEW, ...view }, HERE_AND_THERE), exceptions[cell] ?? expected[i], cell);
      });
    }
    assert.deepEqual([...unused], []);
  });
}

test('a detector for one family does not affect the other (kube-proxy: getLocalDetectors)', () => {
  const view = { ...VIEW, hasLocalDetector: { 4: true, 6: false } };
  const plans = planService(service({ clusterIPs: [address('172.30.0.41'), address('fd00::41')] }), [], view);
  assert.deepEqual(
    plans.map(({ frontends }) => frontends[0]?.flags),
    [FRONTEND_SNAT_OUTSIDE, 0],
  );
});

const KINDS = Object.keys(ADDRESSES) as Kind[];
const SOURCES: readonly Source[] = ['pod', 'node', 'outsider'];

test('without a usable endpoint in the cluster every address refuses all sources, whatever the policy', () => {
  const gone = [endpoint('10.180.0.1', { ready: false, serving: false, terminating: true, nodeName: 'here' })];
  for (const endpoints of [[], gone]) {
    for (const policies of [CLUSTER, ETP_LOCAL, ITP_LOCAL, { ...ETP_LOCAL, ...ITP_LOCAL }]) {
      for (const kind of KINDS) for (const source of SOURCES) assert.equal(answer(source, kind, policies, VIEW, endpoints), 'refuse');
    }
  }
});

test('with usable endpoints on other nodes only, policy Local drops and other traffic goes to those nodes', () => {
  const away = [endpoint('10.180.1.1', { nodeName: 'there' })];
  assert.equal(answer('pod', 'ClusterIP', ITP_LOCAL, VIEW, away), 'drop');
  assert.equal(answer('outsider', 'ClusterIP', ITP_LOCAL, VIEW, away), 'drop');
  assert.equal(answer('outsider', 'NodePort', ITP_LOCAL, VIEW, away), 'all+snat');
  for (const kind of ['NodePort', 'externalIP', 'LoadBalancer'] as const) {
    assert.equal(answer('outsider', kind, ETP_LOCAL, VIEW, away), 'drop');
    assert.equal(answer('pod', kind, ETP_LOCAL, VIEW, away), 'all');
    assert.equal(answer('node', kind, ETP_LOCAL, VIEW, away), 'all');
    assert.equal(answer('pod', kind, ETP_LOCAL, { ...VIEW, hasLocalDetector: { 4: false, 6: false } }, away), 'drop');
  }
});

test('serving terminating endpoints on other nodes still make an empty local list drop', () => {
  const leaving = [endpoint('10.180.1.1', { ready: false, terminating: true, nodeName: 'there' })];
  assert.equal(answer('outsider', 'NodePort', ETP_LOCAL, VIEW, leaving), 'drop');
  assert.equal(answer('pod', 'ClusterIP', ITP_LOCAL, VIEW, leaving), 'drop');
});
