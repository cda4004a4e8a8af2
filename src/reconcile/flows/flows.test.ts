import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST } from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createFakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables, type TablesReconciler } from '#support/reconciling.ts';
import { sampleBackend, sampleFrontend, samplePlan, TCP, UDP } from '#support/sample-plans.ts';
import type { UdpFlow, UdpPlace } from './flows.ts';

const BOTH_LISTS = BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST;
const SNAT = { snat4: ZERO_ADDRESS[4], snat6: ZERO_ADDRESS[6] };
const SETTINGS = { nodeNetnsCookie: 1n, flags: 0, conntrackMark: 2, ...SNAT };

const at = (text: string): UdpPlace => {
  const [, address, port] = /^(.*):(\d+)$/.exec(text) ?? [];
  return { address: address as Address, port: Number(port) };
};
const flow = (dialled: string, answering: string, isOurs = false): UdpFlow => ({ dialled: at(dialled), answering: at(answering), isOurs });

const plan = (name: string, fields: Partial<PortPlan> = {}): PortPlan =>
  samplePlan(name, {
    protocol: UDP,
    backends: [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2', BOTH_LISTS)],
    frontends: [sampleFrontend('172.30.0.1'), sampleFrontend(ZERO_ADDRESS[4], { port: 30080 })],
    ...fields,
  });

const nodeAt = (reconciler: TablesReconciler, ...addresses: string[]): void =>
  reconciler.wantNode({
    localNets: [],
    serviceCIDRs: [],
    devices: [],
    settings: SETTINGS,
    heldAddresses: [],
    nodeAddresses: addresses as Address[],
  });

/** Milliseconds. */
let clock = 0;

/** A complete reconciler that serves these. */
function serving(...plans: PortPlan[]): TablesReconciler {
  const reconciler = reconcilerOfTables({ tables: createFakeTables({ faultRate: 0 }), now: () => clock });
  nodeAt(reconciler, '192.168.0.2');
  for (const each of plans) reconciler.want(each, each);
  reconciler.prune();
  return reconciler;
}

test('a flow lives while its backend is in either list of the Service port that it dialled [udp-endpoint-gone]', () => {
  const lists = [BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST, BOTH_LISTS];
  const frontends = [sampleFrontend('172.30.0.1', { outsideSource: 'local' })];
  const reconciler = serving(plan('t/a', { backends: lists.map((flags, i) => sampleBackend(`10.0.0.${i}`, flags)), frontends }));
  for (const i of lists.keys()) assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', `10.0.0.${i}:8080`)), 'live');
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.9:8080')), 'endpoint_gone');
});

test('address and port of the backend must both match the flow [udp-exact-tuple]', () => {
  const reconciler = serving(plan('t/a'));
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080')), 'live');
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8081')), 'endpoint_gone');
});

test('a backend of another Service does not keep a flow', () => {
  const other = plan('t/b', { backends: [sampleBackend('10.0.0.7')], frontends: [sampleFrontend('172.30.0.2')] });
  const reconciler = serving(plan('t/a'), other);
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.7:8080')), 'endpoint_gone');
  assert.equal(reconciler.judgeFlow(flow('172.30.0.2:80', '10.0.0.7:8080')), 'live');
});

test('the last backend that goes has its own reason [udp-last-endpoint]', () => {
  const reconciler = serving(plan('t/a', { backends: [] }));
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080')), 'no_endpoint');
});

test('a NodePort flow lives by the addresses that have NodePorts [udp-node-port]', () => {
  const reconciler = serving(plan('t/a'));
  const flows = ['192.168.0.2:30080', '192.168.0.3:30080', '192.168.0.2:30081'].map((dialled) => flow(dialled, '10.0.0.1:8080'));
  const verdicts = () => flows.map((each) => reconciler.judgeFlow(each));
  assert.deepEqual(verdicts(), ['live', 'foreign', 'foreign']);
  assert.equal(reconciler.judgeFlow(flow('127.0.0.1:30080', '10.0.0.1:8080')), 'live');
  nodeAt(reconciler, '192.168.0.3');
  assert.deepEqual(reconciler.flush().udpLosses, { backends: 0, frontends: 1 });
  assert.deepEqual(verdicts(), ['service_gone', 'live', 'foreign']);
});

test('a TCP Service port of the same number keeps no UDP flow', () => {
  const reconciler = serving(plan('t/a', { protocol: TCP }));
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080', true)), 'service_gone');
});

test('a flow that another program translated is judged if a Service port owns its destination, otherwise it is foreign [udp-nothing-else]', () => {
  const reconciler = serving(plan('t/a'));
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080', false)), 'live');
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.9:8080', false)), 'endpoint_gone');
  assert.equal(reconciler.judgeFlow(flow('172.30.0.9:80', '10.0.0.9:8080', false)), 'foreign');
});

test('a flow of a Service that went is stale if weir withdrew its destination and its endpoint, whatever its mark [udp-withdrawn]', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => clock });
  nodeAt(reconciler, '192.168.0.2');
  reconciler.want(plan('t/a'), plan('t/a'));
  reconciler.prune();
  reconciler.want(plan('t/a'), undefined);
  reconciler.flush();
  const verdict = (dialled: string, answering: string) => reconciler.judgeFlow(flow(dialled, answering));
  assert.equal(verdict('172.30.0.1:80', '10.0.0.1:8080'), 'service_gone');
  assert.equal(verdict('192.168.0.2:30080', '10.0.0.2:8080'), 'service_gone');
  assert.equal(verdict('172.30.0.1:80', '10.0.0.1:8081'), 'foreign', 'another endpoint');
  assert.equal(verdict('172.30.0.1:81', '10.0.0.1:8080'), 'foreign', 'another port');
  reconciler.adopt();
  assert.equal(verdict('172.30.0.1:80', '10.0.0.1:8080'), 'service_gone', 'also when the tables were read again');
  const next = reconcilerOfTables({ tables, now: () => clock });
  next.prune();
  assert.equal(next.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080')), 'foreign', 'an agent that did not withdraw it');
});

test('a Service that went while no agent ran is withdrawn by the next one, and its flows end [udp-withdrawn]', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const first = reconcilerOfTables({ tables, now: () => clock });
  first.want(plan('t/a'), plan('t/a'));
  first.prune();
  const next = reconcilerOfTables({ tables, now: () => clock });
  next.adopt();
  next.prune();
  assert.equal(next.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080')), 'service_gone');
});

test('nothing is stale because its Service is not known yet [restart-keeps]', () => {
  const reconciler = reconcilerOfTables({ tables: createFakeTables({ faultRate: 0 }), now: () => 0 });
  const dialled = flow('172.30.0.1:80', '10.0.0.1:8080', true);
  assert.equal(reconciler.judgeFlow(dialled), 'live');
  reconciler.flush();
  assert.equal(reconciler.judgeFlow(dialled), 'live');
  reconciler.prune();
  assert.equal(reconciler.judgeFlow(dialled), 'service_gone');
});

test('flows of a Service that does not fit into the tables are left alone', () => {
  const reconciler = reconcilerOfTables({ tables: createFakeTables({ faultRate: 0, limits: { frontends: 0 } }), now: () => 0 });
  reconciler.want(plan('t/a'), plan('t/a'));
  assert.ok(reconciler.prune().pending > 0);
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.1:8080', true)), 'live');
});

test('a flush says when UDP flows may have lost their backend or their Service, and only then', () => {
  const reconciler = serving();
  const become = (name: string, next: PortPlan | undefined) => {
    reconciler.want({ name, family: 4 }, next);
    return reconciler.flush().udpLosses;
  };
  const [one, two] = [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2')];
  const heir = plan('t/heir', { createdAt: '2020-01-01T00:00:00Z', backends: [one] });
  const nothing = { backends: 0, frontends: 0 };
  assert.deepEqual(become('t/a', plan('t/a', { backends: [one] })), nothing, 'a Service more');
  assert.deepEqual(become('t/a', plan('t/a', { backends: [one, two] })), nothing, 'an endpoint more');
  assert.deepEqual(become('t/a', plan('t/a', { backends: [one] })), { backends: 1, frontends: 0 }, 'an endpoint less');
  assert.deepEqual(become('t/heir', heir), { backends: 0, frontends: 2 }, 'frontends for an older Service');
  assert.deepEqual(become('t/a', undefined), { backends: 1, frontends: 0 }, 'a Service less that had lost its frontends');
  assert.deepEqual(become('t/heir', undefined), { backends: 1, frontends: 2 }, 'a Service less');
  assert.deepEqual(become('t/tcp', plan('t/tcp', { protocol: TCP })), nothing, 'TCP');
  assert.deepEqual(become('t/tcp', undefined), nothing, 'TCP that goes');
});

test('a backend that leaves one of two lists does not count as a loss [policy-switch-flows]', () => {
  const reconciler = serving(plan('t/a'));
  const onlyCluster = [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2')];
  reconciler.want(plan('t/a'), plan('t/a', { backends: onlyCluster }));
  assert.deepEqual(reconciler.flush().udpLosses, { backends: 0, frontends: 0 });
  assert.equal(reconciler.judgeFlow(flow('172.30.0.1:80', '10.0.0.2:8080')), 'live');
});

test('flows to an endpoint that serves without being listed go on until it serves no more [policy-switch-flows] [udp-endpoint-gone]', () => {
  const drained = { address: '10.0.0.1' as Address, port: 8080 };
  const [draining, after] = [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2')];
  const reconciler = serving(plan('t/a', { backends: [draining] }));
  const old = flow('172.30.0.1:80', '10.0.0.1:8080');
  const become = (fields: Partial<PortPlan>) => {
    reconciler.want({ name: 't/a', family: 4 }, plan('t/a', fields));
    return reconciler.flush().udpLosses;
  };
  become({ backends: [after], unlisted: [drained] });
  assert.equal(reconciler.judgeFlow(old), 'live');
  assert.ok(become({ backends: [after] }).backends > 0);
  clock += 1000;
  assert.equal(reconciler.judgeFlow(old), 'endpoint_gone');
  become({ backends: [after], unlisted: [drained] });
  assert.deepEqual(become({ backends: [after, draining] }), { backends: 0, frontends: 0 }, 'it is back');
  become({ backends: [], unlisted: [drained] });
  assert.equal(reconciler.judgeFlow(old), 'live', 'policy Local and none here');
});

test('a backend that was just retired may answer earlier datagrams [udp-endpoint-gone]', () => {
  const reconciler = serving(plan('t/a'));
  const old = flow('172.30.0.1:80', '10.0.0.1:8080');
  const become = (...backends: PortPlan['backends'][number][]): void => {
    reconciler.want({ name: 't/a', family: 4 }, plan('t/a', { backends }));
    reconciler.flush();
  };
  const [one, two] = [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2')];
  become(two);
  assert.equal(reconciler.judgeFlow(old), 'live');
  clock += 200;
  become(one);
  become(two);
  clock += 200;
  assert.equal(reconciler.judgeFlow(old), 'live', 'it was back meanwhile');
  clock += 200;
  assert.equal(reconciler.judgeFlow(old), 'endpoint_gone');
});
