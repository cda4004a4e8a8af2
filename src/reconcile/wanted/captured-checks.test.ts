import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import type { PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import { sampleFrontend, samplePlan, UDP } from '#support/sample-plans.ts';
import { createReconciler } from '../reconciler.ts';
import { createWantedState, type NodeFacts } from './wanted-state.ts';

const PORT = 30_080;
const NODE_ADDRESS = '192.168.0.2';
const CHECKS = [{ family: 4, port: PORT, localEndpoints: 1 }] as const;
const CHECKED = 't/checked';

const at = (address: string, port = PORT): PlannedFrontend => sampleFrontend(address, { port });
const NODE_PORT = at('0.0.0.0');

/** A node with one address, and a reconciler that reports problems. */
function ground() {
  const wanted = createWantedState();
  const node = (...addresses: string[]): void => wanted.wantNode({ nodeAddresses: addresses as Address[] } as unknown as NodeFacts, []);
  node(NODE_ADDRESS);
  const { problems } = createReconciler({ wanted, writers: [], now: () => 0 });
  const want = (name: string, ...plans: readonly Partial<PortPlan>[]): void =>
    wanted.want(`t/${name}`, { plans: plans.map((fields) => samplePlan(`t/${name}:http`, fields)), healthChecks: [] });
  wanted.want(CHECKED, { plans: [], healthChecks: CHECKS });
  return { wanted, node, want, problems };
}

const captured = (owner: string, frontend: string): object => ({
  port: CHECKED,
  code: 'conflict',
  message: `Cannot answer health checks of Service "${CHECKED}" at spec.healthCheckNodePort ${PORT}: Service "${owner}" has ${frontend}`,
});

test('a health check node port that is a NodePort of another Service is reported until one of both goes [hcnp-captured]', () => {
  const { wanted, want, problems } = ground();
  assert.deepEqual(problems(), []);
  want('web', { frontends: [NODE_PORT] });
  assert.deepEqual(problems(), [captured('t/web:http', `NodePort4:${PORT}/TCP`)]);
  want('web', { frontends: [at('0.0.0.0', PORT + 1)] });
  assert.deepEqual(problems(), []);
  want('web', { frontends: [NODE_PORT] });
  wanted.want(CHECKED, { plans: [], healthChecks: [{ family: 4, port: PORT + 1, localEndpoints: 1 }] });
  assert.deepEqual(problems(), []);
  wanted.want(CHECKED, { plans: [], healthChecks: CHECKS });
  assert.equal(problems().length, 1);
  wanted.want(CHECKED, { plans: [], healthChecks: [] });
  assert.deepEqual(problems(), []);
});

test('the order of the Services does not count, and the owner of the NodePort is named [hcnp-captured]', () => {
  const { want, problems } = ground();
  want('young', { frontends: [NODE_PORT], createdAt: '2026-02-01T00:00:00Z' });
  want('old', { frontends: [NODE_PORT], createdAt: '2025-01-01T00:00:00Z' });
  assert.deepEqual(problems(), [captured('t/old:http', `NodePort4:${PORT}/TCP`)]);
  want('old');
  assert.deepEqual(problems(), [captured('t/young:http', `NodePort4:${PORT}/TCP`)]);
});

test('an address of the node that a Service has captures the port, too, as long as health checks are asked there [hcnp-captured]', () => {
  const { node, want, problems } = ground();
  want('balanced', { frontends: [at(NODE_ADDRESS)] });
  assert.deepEqual(problems(), [captured('t/balanced:http', `${NODE_ADDRESS}:${PORT}/TCP`)]);
  node('192.168.0.3');
  assert.deepEqual(problems(), []);
});

test('another protocol, family, port or address captures no health check [hcnp-captured]', () => {
  const { want, problems } = ground();
  want('udp', { protocol: UDP, frontends: [NODE_PORT] });
  want('six', { family: 6, frontends: [at('::')] });
  want('elsewhere', { frontends: [at('203.0.113.1'), at('0.0.0.0', 80)] });
  assert.deepEqual(problems(), []);
});
