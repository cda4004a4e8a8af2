import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
} from '#abi/generated.ts';
import { prefixContains } from '#lib/address.ts';
import type { Service, ServicePort } from '#model/service.ts';
import { address, endpoint, prefix, service, slice } from '#support/model-objects.ts';
import type { NodeView } from './node-view.ts';
import { planService } from './plan-service.ts';
import type { PortPlan } from './port-plan.ts';

const VIEW: NodeView = {
  nodeName: 'here',
  zone: 'zone-a',
  hasLocalDetector: { 4: true, 6: true },
  masqueradeAll: false,
  primaryAddresses: { 4: address('192.168.0.2'), 6: address('fd00:2::2') },
};
const port = (rest: Partial<ServicePort> = {}): ServicePort => ({ name: 'p80', protocol: 'TCP', port: 80, nodePort: 0, ...rest });
const LB = { loadBalancerIPs: [address('1.2.3.4'), address('5.6.7.8')] };
const only = (plans: readonly PortPlan[]): PortPlan => {
  assert.equal(plans.length, 1);
  return plans[0] as PortPlan;
};
const flagsAt = (plan: PortPlan, text: string): number | undefined => plan.frontends.find((one) => one.address === text)?.flags;

test('a plan contains all fields of one Service port', () => {
  const slices = [slice([endpoint('10.0.0.2', { nodeName: 'here' }), endpoint('10.0.0.1')])];
  const plans = planService(
    service({ ports: [port({ nodePort: 3001 })], externalTrafficPolicy: 'Local', affinitySeconds: 600 }),
    slices,
    VIEW,
  );
  assert.deepEqual(only(plans), {
    name: 'ns1/svc1:p80',
    family: 4,
    protocol: 6,
    createdAt: '2026-01-01T00:00:00Z',
    clusterIPs: ['172.30.0.41'],
    backends: [
      { address: '10.0.0.1', port: 80, flags: BACKEND_CLUSTER_LIST },
      { address: '10.0.0.2', port: 80, flags: BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST },
    ],
    frontends: [
      { address: '172.30.0.41', port: 80, flags: FRONTEND_SNAT_OUTSIDE, localSource: 'cluster', outsideSource: 'cluster' },
      { address: '0.0.0.0', port: 3001, flags: 0, localSource: 'cluster', outsideSource: 'local' },
    ],
    sourceRanges: [],
    affinitySeconds: 600,
  });
});

test('a dual-stack Service has one plan per port and family, from the slices of that family', () => {
  const ports = [port({ name: 'dns', port: 53, protocol: 'UDP', nodePort: 3053 }), port({ name: 'dns-tcp', port: 53, nodePort: 3053 })];
  const names = [
    { name: 'dns', protocol: 'UDP', port: 53 },
    { name: 'dns-tcp', protocol: 'TCP', port: 53 },
  ] as const;
  const slices = [slice([endpoint('10.0.0.1')], { ports: names }), slice([endpoint('fd00:10::1')], { family: 6, ports: names })];
  const plans = planService(service({ ports, clusterIPs: [address('fd00::41'), address('172.30.0.41')] }), slices, VIEW);
  assert.deepEqual(
    plans.map((plan) => [
      plan.name,
      plan.family,
      plan.protocol,
      plan.backends[0]?.address,
      ...plan.frontends.map((one) => `${one.address} ${one.port}`),
    ]),
    [
      ['ns1/svc1:dns', 4, 17, '10.0.0.1', '172.30.0.41 53', '0.0.0.0 3053'],
      ['ns1/svc1:dns-tcp', 4, 6, '10.0.0.1', '172.30.0.41 53', '0.0.0.0 3053'],
      ['ns1/svc1:dns', 6, 17, 'fd00:10::1', 'fd00::41 53', ':: 3053'],
      ['ns1/svc1:dns-tcp', 6, 6, 'fd00:10::1', 'fd00::41 53', ':: 3053'],
    ],
  );
});

test('external addresses of a family without a ClusterIP are not served, as in kube-proxy', () => {
  const plans = planService(service({ externalIPs: [address('2001:db8::9')], ports: [port({ nodePort: 3001 })] }), [], VIEW);
  assert.deepEqual(
    only(plans).frontends.map((one) => one.address),
    ['172.30.0.41', '0.0.0.0'],
  );
});

test('a Service that is not proxied has no plan', () => {
  assert.deepEqual(planService(service({ proxied: false }), [slice([endpoint('10.0.0.1')])], VIEW), []);
});

test('a UDP port has the serving endpoints outside its lists: draining ones and ones that policy or topology excludes', () => {
  const endpoints = [
    endpoint('10.0.0.1', { nodeName: 'here' }),
    endpoint('10.0.0.2'),
    endpoint('10.0.0.3', { ready: false, terminating: true }),
    endpoint('10.0.0.4', { ready: false, serving: false }),
  ];
  const unlistedOf = (protocol: 'TCP' | 'UDP', rest: Partial<Service> = {}) =>
    only(
      planService(
        service({ ports: [port({ protocol })], ...rest }),
        [slice(endpoints, { ports: [{ name: 'p80', protocol, port: 80 }] })],
        VIEW,
      ),
    ).unlisted?.map((one) => `${one.address}:${one.port}`);
  assert.deepEqual(unlistedOf('UDP'), ['10.0.0.3:80']);
  assert.deepEqual(unlistedOf('UDP', { internalTrafficPolicy: 'Local' }), ['10.0.0.2:80', '10.0.0.3:80']);
  assert.equal(unlistedOf('TCP'), undefined);
});

test('SCTP ports are planned like others', () => {
  const ports = [port(), port({ name: 'm3ua', protocol: 'SCTP', port: 2905 })];
  const plans = planService(service({ ports }), [], VIEW);
  assert.deepEqual(
    plans.map(({ name, protocol }) => `${name} ${protocol}`),
    ['ns1/svc1:p80 6', 'ns1/svc1:m3ua 132'],
  );
});

test('an unnamed port has the name of its Service, and a name too long for the tables stays unique', () => {
  assert.equal(only(planService(service({ ports: [port({ name: '' })] }), [], VIEW)).name, 'ns1/svc1');
  const long = { namespace: 'n'.repeat(63), name: 's'.repeat(63) };
  const ports = ['TCP', 'UDP'].map((protocol, i) =>
    port({ name: `${'p'.repeat(62)}${i}`, port: 65535, protocol: protocol as 'TCP' | 'UDP' }),
  );
  const names = planService(service({ ...long, ports }), [], VIEW).map(({ name }) => name);
  assert.deepEqual(
    names.map((name) => [name.length, name.slice(127)]),
    [
      [151, `:${'p'.repeat(13)}~65535/TCP`],
      [151, `:${'p'.repeat(13)}~65535/UDP`],
    ],
  );
});

test('an address of several kinds is one frontend: a ClusterIP first, then a LoadBalancer address', () => {
  const twice = { externalIPs: [address('1.2.3.4'), address('172.30.0.41')], ...LB, sourceRanges: [prefix('203.0.113.0/25')] };
  const { frontends } = only(planService(service(twice), [], VIEW));
  assert.deepEqual(
    frontends.map((one) => [one.address, one.flags]),
    [
      ['1.2.3.4', FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE | FRONTEND_SOURCE_RANGES],
      ['172.30.0.41', FRONTEND_SNAT_OUTSIDE],
      ['5.6.7.8', FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE | FRONTEND_SOURCE_RANGES],
    ],
  );
});

test('source ranges restrict only LoadBalancer addresses', () => {
  const guarded = {
    ...LB,
    externalIPs: [address('192.168.99.11')],
    ports: [port({ nodePort: 3001 })],
    sourceRanges: [prefix('203.0.113.0/25')],
  };
  const plan = only(planService(service(guarded), [], VIEW));
  const isGuarded = (text: string): boolean => ((flagsAt(plan, text) ?? 0) & FRONTEND_SOURCE_RANGES) !== 0;
  assert.deepEqual(['1.2.3.4', '5.6.7.8', '192.168.99.11', '172.30.0.41', '0.0.0.0'].map(isGuarded), [true, true, false, false, false]);
  assert.deepEqual(plan.sourceRanges, [prefix('203.0.113.0/25')]);
});

test('ranges that contain the node admit it, also from a LoadBalancer address of its own [source-ranges-lb-source]', () => {
  const plan = only(planService(service({ ...LB, sourceRanges: [prefix('192.168.0.0/24')] }), [], VIEW));
  assert.notEqual((flagsAt(plan, '1.2.3.4') ?? 0) & FRONTEND_RANGES_ADMIT_NODE, 0);
  assert.deepEqual(plan.sourceRanges, [prefix('192.168.0.0/24'), prefix('1.2.3.4/32'), prefix('5.6.7.8/32')]);
  const elsewhere = only(planService(service({ ...LB, sourceRanges: [prefix('192.168.1.0/24')] }), [], VIEW));
  assert.equal((flagsAt(elsewhere, '1.2.3.4') ?? 0) & FRONTEND_RANGES_ADMIT_NODE, 0);
});

const unguarded: readonly (readonly [string, Partial<Service>])[] = [
  ['ranges of the other family', { ...LB, sourceRanges: [prefix('fd00::/8')] }],
  ['a range that admits all sources', { ...LB, sourceRanges: [prefix('203.0.113.0/25'), prefix('0.0.0.0/0')] }],
  ['ranges without a LoadBalancer address', { sourceRanges: [prefix('203.0.113.0/25')] }],
];
for (const [what, fields] of unguarded) {
  test(`no frontend is restricted by ${what}`, () => {
    const plan = only(planService(service(fields), [], VIEW));
    assert.deepEqual(plan.sourceRanges, []);
    assert.ok(plan.frontends.every(({ flags }) => (flags & FRONTEND_SOURCE_RANGES) === 0));
  });
}

test('backends keep their order when an unrelated endpoint comes or goes', () => {
  const ips = ['10.0.0.9', '10.0.0.10', '10.0.0.1', '10.0.0.5'];
  const order = (list: readonly string[]) =>
    only(planService(service(), [slice(list.map((ip) => endpoint(ip)))], VIEW)).backends.map((one) => one.address);
  assert.deepEqual(order(ips.toReversed()), order(ips));
  assert.deepEqual(
    order(ips.slice(1)),
    order(ips).filter((ip) => ip !== '10.0.0.9'),
  );
});

const policy = fc.constantFrom('Cluster', 'Local');
const addresses = (...texts: string[]) => fc.subarray(texts.map(address));
const arbitraryService: fc.Arbitrary<Service> = fc
  .record({
    proxied: fc.constantFrom(true, true, true, false),
    clusterIPs: addresses('172.30.0.41', 'fd00::41'),
    externalIPs: addresses('1.2.3.4', '172.30.0.41', '2001:db8::9'),
    loadBalancerIPs: addresses('1.2.3.4', '5.6.7.8', '2001:db8::8'),
    sourceRanges: fc.subarray(['0.0.0.0/0', '192.168.0.0/24', '203.0.113.0/25', 'fd00::/8'].map(prefix)),
    ports: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('', 'p80', 'other'),
        protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
        port: fc.integer({ min: 1, max: 65535 }),
        nodePort: fc.constantFrom(0, 3001),
      }),
      { selector: ({ name }) => name },
    ),
    internalTrafficPolicy: policy,
    externalTrafficPolicy: policy,
    affinitySeconds: fc.constantFrom(0, 10800),
  })
  .map((fields) => service(fields as Partial<Service>));
const arbitrarySlices = fc
  .array(
    fc.record({
      ip: fc.integer({ min: 1, max: 20 }),
      ready: fc.boolean(),
      serving: fc.boolean(),
      terminating: fc.boolean(),
      nodeName: fc.constantFrom('', 'here', 'there'),
      hintZones: fc.constantFrom(['zone-a'], ['zone-b'], []),
    }),
  )
  .map((list) => {
    const ports = ['', 'p80', 'other'].flatMap((name) => (['TCP', 'UDP'] as const).map((protocol) => ({ name, protocol, port: 8080 })));
    return [
      slice(
        list.map(({ ip, ...rest }) => endpoint(`10.0.0.${ip}`, rest)),
        { ports },
      ),
      slice(
        list.map(({ ip, ...rest }) => endpoint(`fd00:10::${ip}`, rest)),
        { family: 6, ports },
      ),
    ];
  });

function checkPlan(plan: PortPlan): void {
  const flags = plan.backends.map((one) => one.flags);
  const stages = flags.map((flag) => [BACKEND_CLUSTER_LIST, BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST, BACKEND_LOCAL_LIST].indexOf(flag));
  assert.ok(!stages.includes(-1), 'every backend is in a list');
  assert.deepEqual(stages, stages.toSorted(), 'both lists are ranges of one run');
  assert.equal(new Set(plan.backends.map((one) => `${one.address} ${one.port}`)).size, plan.backends.length);
  assert.equal(new Set(plan.frontends.map((one) => `${one.address} ${one.port}`)).size, plan.frontends.length);
  const count = (list: 'cluster' | 'local'): number =>
    flags.filter((flag) => (flag & (list === 'local' ? BACKEND_LOCAL_LIST : BACKEND_CLUSTER_LIST)) !== 0).length;
  const used = new Set(plan.frontends.flatMap((one) => [one.localSource, one.outsideSource]));
  for (const list of ['cluster', 'local'] as const)
    if (!used.has(list)) assert.equal(count(list), 0, 'a list that no frontend uses is empty');
  for (const one of plan.frontends) {
    if ((one.flags & FRONTEND_DROP_LOCAL) !== 0) assert.equal(count(one.localSource), 0);
    if ((one.flags & FRONTEND_DROP_OUTSIDE) !== 0) assert.equal(count(one.outsideSource), 0);
    assert.equal((one.flags & FRONTEND_SOURCE_RANGES) !== 0 && plan.sourceRanges.length === 0, false);
  }
}

test('for any Service and endpoints: lists are ranges of one run, entries are unique, and only empty lists have drop flags', () => {
  fc.assert(
    fc.property(arbitraryService, arbitrarySlices, (anyService, slices) => {
      const plans = planService(anyService, slices, VIEW);
      plans.forEach(checkPlan);
      assert.equal(new Set(plans.map((plan) => `${plan.name} ${plan.family}`)).size, plans.length);
      assert.deepEqual(planService(anyService, slices.toReversed(), VIEW), plans);
      for (const plan of plans) {
        const wide = plan.sourceRanges.some((range) => prefixContains(range, address(plan.family === 4 ? '8.8.8.8' : '2001::8')));
        assert.equal(wide, false);
      }
    }),
  );
});
