import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  DEVICE_PODS,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
  SETTINGS_LOOPBACK_NODE_PORTS,
  SETTINGS_SOCKETS_HOST_ONLY,
} from '#abi/generated.ts';
import { type Address, type Prefix, parsePrefix } from '#lib/address.ts';
import { createFakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables } from '#support/reconciling.ts';
import { sampleBackend, sampleFrontend, samplePlan, TCP } from '#support/sample-plans.ts';
import { joinTables } from './table-join.ts';
import { createExplainer, type Dialled, type Verdict } from './verdict.ts';

const [POD_DEVICE, UPLINK] = [7, 2];
const [NODE_ADDRESS, CLUSTER_IP, BALANCER] = ['192.168.0.2', '172.30.0.1', '203.0.113.9'] as Address[] as [Address, Address, Address];

const PLANS = [
  samplePlan('t/web:http', {
    backends: [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2', BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST)],
    frontends: [
      sampleFrontend(CLUSTER_IP),
      sampleFrontend('0.0.0.0', { port: 30080, flags: FRONTEND_SNAT_OUTSIDE }),
      sampleFrontend(BALANCER, { flags: FRONTEND_SOURCE_RANGES }),
    ],
    sourceRanges: [parsePrefix('198.51.100.0/24') as Prefix],
  }),
  samplePlan('t/empty:http', { clusterIPs: ['172.30.0.2' as Address] }),
  samplePlan('t/local:http', {
    clusterIPs: ['172.30.0.3' as Address],
    backends: [sampleBackend('10.0.0.9')],
    frontends: [sampleFrontend('172.30.0.3', { outsideSource: 'local', flags: FRONTEND_DROP_OUTSIDE })],
  }),
];

function filled(flags = SETTINGS_LOOPBACK_NODE_PORTS) {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  for (const plan of PLANS) reconciler.want(plan, plan);
  const snat = { snat4: NODE_ADDRESS, snat6: '::' as Address };
  reconciler.wantNode({
    heldAddresses: [],
    nodeAddresses: [NODE_ADDRESS],
    localNets: [],
    serviceCIDRs: [],
    devices: [
      { ifindex: POD_DEVICE, ...snat, flags: DEVICE_PODS },
      { ifindex: UPLINK, ...snat, flags: 0 },
    ],
    settings: { nodeNetnsCookie: 7n, flags, conntrackMark: 2, ...snat },
  });
  reconciler.prune();
  return { tables, explainer: createExplainer(tables, () => POD_DEVICE) };
}

const to = (address: string, port = 80, protocol = TCP): Dialled => ({ address: address as Address, port, protocol });
const outside = { source: '198.51.100.7' as Address, ifindex: UPLINK };
const pod = { source: '10.0.0.5' as Address, ifindex: POD_DEVICE };
const summary = (verdict: Verdict): string =>
  verdict.kind === 'translated'
    ? `${verdict.side} ${verdict.choices.map(({ address, source }) => `${address}<${source ?? 'socket'}`).join(' ')}`
    : `${verdict.kind} ${verdict.reason}`;

test('each fate of a packet has its reason', () => {
  const { explainer } = filled();
  const packet = (dialled: Dialled, from = outside): string => summary(explainer.packet({ ...dialled, ...from }));
  assert.equal(packet(to(CLUSTER_IP), pod), 'local 10.0.0.1<10.0.0.5 10.0.0.2<10.0.0.5');
  assert.equal(packet(to(NODE_ADDRESS, 30080)), 'outside 10.0.0.1<192.168.0.2 10.0.0.2<192.168.0.2');
  assert.equal(packet(to(BALANCER)), 'outside 10.0.0.1<198.51.100.7 10.0.0.2<198.51.100.7');
  assert.equal(packet(to(BALANCER), { ...outside, source: '192.0.2.1' as Address }), 'dropped source_ranges');
  assert.equal(packet(to('172.30.0.2')), 'refused no_endpoint');
  assert.equal(packet(to('172.30.0.3')), 'dropped no_local_endpoint');
  assert.equal(packet(to(CLUSTER_IP, 81)), 'refused port_not_served');
  assert.equal(packet(to('10.9.9.9')), 'passed no_service');
  assert.equal(packet(to(NODE_ADDRESS, 22)), 'passed no_service');
  assert.equal(packet(to(CLUSTER_IP, 80, 132)), 'passed sctp');
});

test('a pod that reaches itself is shown under an address of the node (hairpin)', () => {
  const { explainer } = filled();
  const verdict = explainer.packet({ ...to(CLUSTER_IP), source: '10.0.0.1' as Address, ifindex: POD_DEVICE });
  assert.equal(summary(verdict), 'local 10.0.0.1<192.168.0.2 10.0.0.2<10.0.0.1');
});

test('each fate of a socket has its reason', () => {
  const { explainer } = filled();
  const socket = (dialled: Dialled, ofNode = false): string => summary(explainer.socket({ ...dialled, ofNode }));
  assert.equal(socket(to(CLUSTER_IP)), 'local 10.0.0.1<socket 10.0.0.2<socket');
  assert.equal(socket(to('127.0.0.1', 30080), true), 'local 10.0.0.1<socket 10.0.0.2<socket');
  assert.equal(socket(to('127.0.0.1', 30080)), 'passed no_service');
  assert.equal(socket(to(BALANCER)), 'passed source_ranges');
  assert.equal(socket(to(BALANCER), true), 'dropped source_ranges');
  assert.equal(socket(to('172.30.0.2')), 'refused no_endpoint');
  assert.equal(socket(to(CLUSTER_IP, 80, 132)), 'passed sctp');
  const hostOnly = filled(SETTINGS_SOCKETS_HOST_ONLY).explainer;
  assert.equal(summary(hostOnly.socket({ ...to(CLUSTER_IP), ofNode: false })), 'passed pods_use_packets');
  const empty = createExplainer(createFakeTables({ faultRate: 0 }), () => undefined);
  assert.equal(summary(empty.socket({ ...to(CLUSTER_IP), ofNode: true })), 'passed not_set_up');
});

test('slots that lead to no live backend of their Service port are named', () => {
  const { tables } = filled();
  const frontend = joinTables(tables).frontend(to(CLUSTER_IP)) ?? assert.fail();
  const { first } = frontend.localSource;
  const [own, foreign] = [PLANS[0], PLANS[2]].map((plan) => {
    const found = tables.dump('backends').find(({ value }) => value.address === plan?.backends[0]?.address);
    return found ?? assert.fail();
  });
  assert.ok(own !== undefined && foreign !== undefined);
  const defects = (): (string | undefined)[] =>
    joinTables(tables)
      .list(frontend, 'local')
      .map(({ defect }) => defect);
  assert.deepEqual(defects(), [undefined, undefined]);
  tables.put('slots', [{ key: { value: first + 1 }, value: { backend: foreign.key.value } }]);
  assert.deepEqual(defects(), [undefined, 'foreign_backend']);
  tables.put('backends', [{ key: own.key, value: { ...own.value, flags: 0 } }]);
  tables.put('slots', [{ key: { value: first + 1 }, value: { backend: 0 } }]);
  assert.deepEqual(defects(), ['gone_backend', 'no_backend']);
  const verdict = () => createExplainer(tables, () => undefined).packet({ ...to(CLUSTER_IP), ...pod });
  assert.throws(verdict, /^Error: Slot \d+ of Service port \d+ leads to /);
});
