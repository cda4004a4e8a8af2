import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '#config/config.ts';
import { formatPrefix } from '#lib/address.ts';
import type { ModelObject } from '#model/objects.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createWantedState } from '#reconcile/wanted/wanted-state.ts';
import { address, endpoint, prefix, service, slice } from '#support/model-objects.ts';
import { createProgrammer } from './programmer.ts';
import { createStore } from './store.ts';

const CONFIG = {
  nodeName: 'n1',
  localDetector: { mode: 'NodeCIDR' },
  nodePortAddresses: { mode: 'primary' },
  masqueradeAll: false,
  serviceCIDRs: [prefix('172.30.0.0/16')],
} as unknown as Config;
const KEY = 'ns1/svc1';
const NO_DEVICES: readonly never[] = [];

const web: ModelObject = { kind: 'Service', key: KEY, value: service() };
const two: ModelObject = {
  kind: 'Service',
  key: KEY,
  value: service({ ports: [...service().ports, { name: 'p81', protocol: 'TCP', port: 81, nodePort: 0 }] }),
};
const slices: ModelObject = { kind: 'EndpointSlice', key: 'ns1/svc1-abc12', value: slice([endpoint('10.180.0.1', { nodeName: 'n1' })]) };
const node = (zone: string, podCIDRs = [prefix('10.180.0.0/24')]): ModelObject => ({
  kind: 'Node',
  key: 'n1',
  value: { name: 'n1', addresses: [address('192.168.0.2')], podCIDRs, zone, isLeaving: false },
});

/** A programmer, its store, and what it wanted since the last look. */
function ground() {
  const store = createStore('n1');
  let told: string[] = [];
  /** Service ports that want a frontend of another Service. */
  const contested = new Set<string>();
  const wanted = createWantedState();
  wanted.follow(({ before, after }) => {
    const { name, family } = after ?? before ?? {};
    if (name === undefined) told.push('node');
    else told.push(after === undefined ? `-${name}/${family}` : `+${name}/${family}: ${after.backends.length}`);
  });
  const isContested = ({ name }: PortPlan): boolean => contested.has(name);
  const programmer = createProgrammer({ config: CONFIG, store, wanted, isContested, netnsCookie: 1n });
  const plan = (...options: [devices?: readonly never[], mayLackSlices?: boolean]): string[] => {
    told = [];
    programmer.plan(options[0] ?? NO_DEVICES, options[1] ?? false);
    return told;
  };
  const planDelta = (isComplete: boolean): string[] => {
    told = [];
    const services = programmer.planDelta(NO_DEVICES, isComplete);
    return isComplete ? [...told, ...services.map((name) => `?${name}`)] : told;
  };
  return { store, plan, planDelta, contested, ranges: () => wanted.node()?.serviceCIDRs.map(formatPrefix) };
}

const other: ModelObject = { kind: 'Service', key: 'ns1/other', value: service({ name: 'other' }) };
const third: ModelObject = { kind: 'Service', key: 'ns1/third', value: service({ name: 'third' }) };

test('Services that differ from the journal are planned first, and their surplus is pruned', () => {
  const { store, plan, planDelta } = ground();
  for (const object of [web, slices, other, third]) store.recall(object);
  store.set(two);
  store.remove('Service', 'ns1/third');
  assert.deepEqual(planDelta(true), ['node', '+ns1/svc1:p80/4: 1', '+ns1/svc1:p81/4: 0', '?ns1/svc1', '?ns1/third']);
  assert.deepEqual(plan(), ['+ns1/svc1:p80/4: 1', '+ns1/svc1:p81/4: 0', '+ns1/other:p80/4: 0']);
});

test('when one wants a frontend of another Service all wait, so that no frontend is given up before it can be taken', () => {
  const { store, plan, planDelta, contested } = ground();
  for (const object of [web, third]) store.recall(object);
  store.set(other);
  store.remove('Service', 'ns1/third');
  contested.add('ns1/other:p80');
  assert.deepEqual(planDelta(true), ['node']);
  assert.deepEqual(plan(), ['+ns1/svc1:p80/4: 0', '+ns1/other:p80/4: 0']);
});

test('while the source is incomplete nothing is pruned, and a Service waits for its slices', () => {
  const { store, plan, planDelta } = ground();
  store.recall(other);
  store.set(web);
  store.remove('Service', 'ns1/other');
  assert.deepEqual(planDelta(false), ['node']);
  assert.deepEqual(plan(NO_DEVICES, false), ['+ns1/svc1:p80/4: 0']);
});

test('a touched Service is planned once, and the node with the first plan', () => {
  const { store, plan } = ground();
  store.set(web);
  store.set(slices);
  assert.deepEqual(plan(), ['node', '+ns1/svc1:p80/4: 1']);
  assert.deepEqual(plan(), []);
});

test('a removed port is no longer wanted, nor is a removed Service', () => {
  const { store, plan } = ground();
  store.set(two);
  plan();
  store.set(web);
  assert.deepEqual(plan(), ['-ns1/svc1:p81/4', '+ns1/svc1:p80/4: 0']);
  store.remove('Service', KEY);
  assert.deepEqual(plan(), ['-ns1/svc1:p80/4']);
});

test('a Node that looks otherwise to Services has all of them planned again, other devices only the node', () => {
  const { store, plan } = ground();
  store.set(node('a'));
  store.set(web);
  plan();
  store.set(node('b'));
  assert.deepEqual(plan(), ['node', '+ns1/svc1:p80/4: 0']);
  assert.deepEqual(plan([]), ['node']);
  store.set(node('b', [prefix('10.180.0.0/23')]));
  assert.deepEqual(plan([]), ['node']);
});

test('a Service keeps what an earlier agent served while its slices may be in an unreadable file [restart-keeps]', () => {
  const { store, plan } = ground();
  store.set(web);
  assert.deepEqual(plan(NO_DEVICES, true), ['node']);
  store.set(slices);
  assert.deepEqual(plan(NO_DEVICES, true), ['+ns1/svc1:p80/4: 1']);
  store.remove('EndpointSlice', 'ns1/svc1-abc12');
  assert.deepEqual(plan(NO_DEVICES, true), ['+ns1/svc1:p80/4: 0']);
});

test('it does so while the slices of one family are missing', () => {
  const { store, plan } = ground();
  const clusterIPs = [address('172.30.0.41'), address('fd00::41')];
  store.set({ kind: 'Service', key: KEY, value: service({ clusterIPs }) });
  store.set(slices);
  assert.deepEqual(plan(NO_DEVICES, true), ['node']);
  store.set({ kind: 'EndpointSlice', key: 'ns1/six', value: slice([], { name: 'six', family: 6 }) });
  assert.deepEqual(plan(NO_DEVICES, true), ['+ns1/svc1:p80/4: 1', '+ns1/svc1:p80/6: 0']);
});

test('a Service that waited for slices is planned without them as soon as everything has been read', () => {
  const { store, plan } = ground();
  store.set(web);
  plan(NO_DEVICES, true);
  assert.deepEqual(plan(NO_DEVICES, true), []);
  assert.deepEqual(plan(NO_DEVICES, false), ['+ns1/svc1:p80/4: 0']);
  assert.deepEqual(plan(NO_DEVICES, false), []);
});

test('Service address ranges come from the flag and all ServiceCIDRs; a change plans no Service (TestProxier_OnServiceCIDRsChanged)', () => {
  const { store, plan, ranges } = ground();
  store.set(web);
  plan();
  assert.deepEqual(ranges(), ['172.30.0.0/16']);
  const serviceCIDR = (key: string, ...cidrs: string[]): ModelObject => ({
    kind: 'ServiceCIDR',
    key,
    value: { name: key, cidrs: cidrs.map(prefix) },
  });
  store.set(serviceCIDR('kubernetes', '10.96.0.0/16', 'fd00:96::/112'));
  store.set(serviceCIDR('more', '10.112.0.0/16'));
  assert.deepEqual(plan(), ['node']);
  assert.deepEqual(ranges(), ['172.30.0.0/16', '10.96.0.0/16', 'fd00:96::/112', '10.112.0.0/16']);
  store.remove('ServiceCIDR', 'kubernetes');
  plan();
  assert.deepEqual(ranges(), ['172.30.0.0/16', '10.112.0.0/16']);
});
