import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import { endpoint, slice } from '#support/model-objects.ts';
import { type Candidate, selectEndpoints } from './endpoints.ts';

const TCP_80 = { name: 'p80', protocol: 'TCP' } as const;
const LEAVING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

const select = (slices: readonly EndpointSlice[], port: { name: string; protocol: 'TCP' | 'UDP' } = TCP_80) =>
  selectEndpoints({ servicePort: port, slices, nodeName: 'here', zone: 'zone-a' });
const shown = (list: readonly Candidate[]): readonly string[] => list.map((one) => `${one.address}:${one.port}`);

test('an endpoint serves only the port names of its own slice', () => {
  const http = slice([endpoint('10.0.0.1')], { name: 'a', ports: [{ name: 'p80', protocol: 'TCP', port: 8080 }] });
  const admin = slice([endpoint('10.0.0.2')], { name: 'b', ports: [{ name: 'admin', protocol: 'TCP', port: 9090 }] });
  assert.deepEqual(shown(select([http, admin]).cluster), ['10.0.0.1:8080']);
  assert.deepEqual(shown(select([http, admin], { name: 'admin', protocol: 'TCP' }).cluster), ['10.0.0.2:9090']);
});

test('ports of one name and different protocols are distinct', () => {
  const dns = slice([endpoint('10.0.0.1')], { ports: [{ name: 'p80', protocol: 'UDP', port: 53 }] });
  assert.deepEqual(shown(select([dns]).cluster), []);
  assert.deepEqual(shown(select([dns], { name: 'p80', protocol: 'UDP' }).cluster), ['10.0.0.1:53']);
});

test('a named targetPort may resolve to different numbers on different endpoints', () => {
  const one = slice([endpoint('10.0.0.1')], { name: 'a', ports: [{ name: 'p80', protocol: 'TCP', port: 8080 }] });
  const other = slice([endpoint('10.0.0.2')], { name: 'b', ports: [{ name: 'p80', protocol: 'TCP', port: 8081 }] });
  assert.deepEqual(shown(select([other, one]).cluster), ['10.0.0.1:8080', '10.0.0.2:8081']);
});

test('a slice that is left to others serves no Service', () => {
  assert.deepEqual(select([slice([endpoint('10.0.0.1')], { unproxied: true })]), {
    cluster: [],
    local: [],
    localReady: [],
    serving: [],
    anyUsable: false,
  });
});

test('endpoints of manual slices, without nodeName, are remote and serve', () => {
  const { cluster, local } = selectEndpoints({ servicePort: TCP_80, slices: [slice([endpoint('10.0.0.1')])], nodeName: '', zone: '' });
  assert.deepEqual([shown(cluster), shown(local)], [['10.0.0.1:80'], []]);
});

const RUNNING_UNREADY = { ready: false, serving: true, terminating: false };
const twins: readonly (readonly [string, Partial<Endpoint>, Partial<Endpoint>])[] = [
  ['the running one before the terminating one', { ready: true }, LEAVING],
  ['the running one before a ready terminating one', RUNNING_UNREADY, { ready: true, terminating: true }],
  ['the ready one of two running ones', { ready: true }, RUNNING_UNREADY],
  ['the serving one of two terminating ones', LEAVING, GONE],
];
for (const [what, kept, other] of twins) {
  test(`one address in two slices counts once: ${what}`, () => {
    for (const [first, second] of [
      [kept, other],
      [other, kept],
    ] as const) {
      const slices = [slice([endpoint('10.0.0.1', first)], { name: 'a' }), slice([endpoint('10.0.0.1', second)], { name: 'b' })];
      const { cluster } = select(slices);
      const usable = kept.ready === true || kept === LEAVING;
      assert.deepEqual(shown(cluster), usable ? ['10.0.0.1:80'] : []);
      for (const one of cluster) assert.equal(one.endpoint.ready, kept.ready ?? true);
    }
  });
}

test('of equal endpoints the name of the slice decides, whatever the order', () => {
  const mine = slice([endpoint('10.0.0.1', { nodeName: 'here' })], { name: 'a' });
  const theirs = slice([endpoint('10.0.0.1', { nodeName: 'there' })], { name: 'b' });
  assert.deepEqual(select([theirs, mine]), select([mine, theirs]));
  assert.deepEqual(shown(select([theirs, mine]).local), ['10.0.0.1:80']);
});

test('one address with two ports is two endpoints', () => {
  const one = slice([endpoint('10.0.0.1')], { name: 'a' });
  const other = slice([endpoint('10.0.0.1')], { name: 'b', ports: [{ name: 'p80', protocol: 'TCP', port: 81 }] });
  assert.deepEqual(shown(select([one, other]).cluster), ['10.0.0.1:80', '10.0.0.1:81']);
});

test('each list falls back to terminating endpoints independently', () => {
  const remoteReady = endpoint('10.0.0.1', { nodeName: 'there' });
  const localLeaving = endpoint('10.0.0.2', { ...LEAVING, nodeName: 'here' });
  const { cluster, local } = select([slice([remoteReady, localLeaving, endpoint('10.0.0.3', { ...GONE, nodeName: 'here' })])]);
  assert.deepEqual([shown(cluster), shown(local)], [['10.0.0.1:80'], ['10.0.0.2:80']]);
});

test('hints are ignored among terminating endpoints', () => {
  const near = endpoint('10.0.0.1', { ...LEAVING, hintZones: ['zone-a'] });
  const far = endpoint('10.0.0.2', { ...LEAVING, hintZones: ['zone-b'] });
  assert.deepEqual(shown(select([slice([near, far])]).cluster), ['10.0.0.1:80', '10.0.0.2:80']);
});

test('node hints take precedence over zone hints', () => {
  const here = endpoint('10.0.0.1', { hintNodes: ['here'], hintZones: ['zone-b'] });
  const there = endpoint('10.0.0.2', { hintNodes: ['there'], hintZones: ['zone-a'] });
  assert.deepEqual(shown(select([slice([here, there])]).cluster), ['10.0.0.1:80']);
});

const arbitraryEndpoint = fc
  .record({
    ip: fc.integer({ min: 1, max: 6 }).map((n) => `10.0.0.${n}`),
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    nodeName: fc.constantFrom('', 'here', 'there'),
    hintZones: fc.subarray(['zone-a', 'zone-b']),
    hintNodes: fc.subarray(['here', 'there']),
  })
  .map(({ ip, ...rest }) => endpoint(ip, rest));
const arbitrarySlices = fc
  .array(fc.array(arbitraryEndpoint, { maxLength: 6 }), { maxLength: 3 })
  .map((lists) => lists.map((list, i) => slice(list, { name: `s${i}` })));

test('for any slices: local endpoints are on this node, lists contain each endpoint once, and the order of slices has no effect', () => {
  fc.assert(
    fc.property(arbitrarySlices, (slices) => {
      const { cluster, local, localReady, serving, anyUsable } = select(slices);
      assert.ok(local.every((one) => one.endpoint.nodeName === 'here'));
      for (const list of [cluster, local]) {
        assert.equal(new Set(shown(list)).size, list.length);
        assert.ok(list.every(({ endpoint: one }) => one.ready || (one.serving && one.terminating)));
      }
      assert.equal(anyUsable, cluster.length > 0);
      assert.ok(anyUsable || local.length === 0);
      assert.deepEqual(
        localReady,
        local.filter((one) => one.endpoint.ready),
      );
      assert.ok([...cluster, ...local].every((one) => serving.includes(one)));
      const reversed = select(slices.toReversed());
      assert.deepEqual(shown(reversed.serving).toSorted(), shown(serving).toSorted());
      assert.deepEqual({ ...reversed, serving }, { cluster, local, localReady, serving, anyUsable });
    }),
  );
});
