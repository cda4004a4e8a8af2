import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, endpoint, prefix, service, slice } from '#support/model-objects.ts';
import { planHealthAddresses, planHealthChecks } from './health-checks.ts';
import { viewNode } from './node-view.ts';

const view = viewNode(undefined, { nodeName: 'n1', localDetector: { mode: 'None' }, masqueradeAll: false });
const checked = service({ externalTrafficPolicy: 'Local', healthCheckNodePort: 31051 });
const here = (ip: string, rest: object = {}) => endpoint(ip, { nodeName: 'n1', ...rest });
const LEAVING = { ready: false, serving: true, terminating: true };

const counts: readonly (readonly [string, Parameters<typeof slice>[0], number])[] = [
  ['ready endpoints of this node', [here('10.0.0.1'), here('10.0.0.2'), endpoint('10.0.1.1', { nodeName: 'n2' }), endpoint('10.0.9.9')], 2],
  ['unready endpoints excluded', [here('10.0.0.1', { ready: false, serving: false })], 0],
  ['serving terminating endpoints excluded', [here('10.0.0.1', LEAVING), here('10.0.0.2', LEAVING)], 0],
  ['ready terminating endpoints', [here('10.0.0.1', { terminating: true })], 1],
  ['endpoints hinted for another zone', [here('10.0.0.1', { hintZones: ['far'] })], 1],
];
for (const [what, endpoints, expected] of counts) {
  test(`a health check counts ${what} [hcnp-ready]`, () => {
    assert.deepEqual(planHealthChecks(checked, [slice(endpoints)], view), [{ family: 4, port: 31051, localEndpoints: expected }]);
  });
}

test('an endpoint counts once, whatever the number of its ports [hcnp-ready]', () => {
  const ports = [
    { name: 'p80', protocol: 'TCP', port: 80, nodePort: 0 },
    { name: 'dns', protocol: 'UDP', port: 53, nodePort: 0 },
  ] as const;
  const slices = [
    slice([here('10.0.0.1'), here('10.0.0.2')], { ports }),
    slice([here('10.0.0.3')], { name: 'udp', ports: ports.slice(1) }),
  ];
  assert.deepEqual(planHealthChecks({ ...checked, ports }, slices, view), [{ family: 4, port: 31051, localEndpoints: 3 }]);
});

test('each family of the ClusterIPs counts its own endpoints', () => {
  const dual = { ...checked, clusterIPs: [address('172.30.0.41'), address('fd00::41')] };
  const slices = [slice([here('10.0.0.1'), here('10.0.0.2')]), slice([here('fd00::1')], { name: 'six', family: 6 })];
  assert.deepEqual(planHealthChecks(dual, slices, view), [
    { family: 4, port: 31051, localEndpoints: 2 },
    { family: 6, port: 31051, localEndpoints: 1 },
  ]);
  assert.deepEqual(
    planHealthChecks(checked, slices, view).map(({ family }) => family),
    [4],
  );
});

test('a Service without the port and a Service of another proxy have no health check', () => {
  assert.deepEqual(planHealthChecks(service(), [slice([here('10.0.0.1')])], view), []);
  assert.deepEqual(planHealthChecks({ ...checked, proxied: false }, [slice([here('10.0.0.1')])], view), []);
});

const NODE_PORTS = [address('192.168.0.2'), address('fe80::1'), address('fd00::2')];
const networks = (...texts: string[]) => ({ mode: 'networks', prefixes: texts.map(prefix) }) as const;

test('health checks listen at the NodePort addresses, or at all addresses (TestServerWithSelectiveListeningAddress)', () => {
  assert.deepEqual(planHealthAddresses(NODE_PORTS, { mode: 'primary' }), ['192.168.0.2', 'fd00::2']);
  assert.deepEqual(planHealthAddresses(NODE_PORTS, networks('192.168.0.0/16', 'fd00::/8')), ['192.168.0.2', 'fd00::2']);
  assert.deepEqual(planHealthAddresses(NODE_PORTS, networks('192.168.0.0/16')), ['192.168.0.2', '::']);
  assert.deepEqual(planHealthAddresses(NODE_PORTS, { ...networks('192.168.0.0/16'), primary: true }), ['192.168.0.2', 'fd00::2']);
  assert.deepEqual(planHealthAddresses(NODE_PORTS, networks('0.0.0.0/0', '10.0.0.0/8', 'fd00::/8')), ['0.0.0.0', 'fd00::2']);
});
