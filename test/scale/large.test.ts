import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Lab } from '#lab/lab.ts';
import { difference, dump, memoryOf, oneNode, tableTexts, until, writesSince } from './ground.ts';
import { cluster, clusterIP, numbered, pods, serviceName } from './objects.ts';

const SERVICES = 10_000;
const ENDPOINTS = 10;
const REAL_PODS = pods(ENDPOINTS);
/** Services with real endpoints: the first, one amid, the last. */
const REAL = [0, 4321, SERVICES - 1];

let lab: Lab;

before(async () => {
  lab = await oneNode('big', REAL_PODS);
  lab.writeManifest('all.json', cluster(SERVICES, ENDPOINTS, new Map(REAL.map((n) => [n, REAL_PODS]))));
  await lab.agent('n1').start({ extraFlags: ['-v', '2'] });
});

after(() => lab?.down());

test('10,000 Services with 100,000 endpoints load and fit', async () => {
  assert.doesNotMatch(lab.agent('n1').log, /ERROR/);
  const { frontends } = await dump(lab);
  assert.equal(frontends.length, SERVICES);
  assert.equal(
    frontends.reduce((sum, { localSource }) => sum + localSource.length, 0),
    SERVICES * ENDPOINTS,
  );
  assert.equal(new Set(frontends.flatMap(({ localSource }) => localSource)).size, (SERVICES - REAL.length) * ENDPOINTS + ENDPOINTS);
});

test('Services of a large cluster answer, from every endpoint', async () => {
  for (const n of REAL) {
    const target = { protocol: 'tcp', address: clusterIP(n), port: 80 } as const;
    const { answered, answeredBy, requests } = await lab.load('n1', { target, concurrency: 4, requests: 200 }).done;
    assert.equal(answered, requests);
    assert.equal(Object.keys(answeredBy).length, ENDPOINTS, serviceName(n));
  }
});

test('a change costs a handful of writes, in the one large file and in a file beside it', async () => {
  const whole = tableTexts(lab);
  const beside = lab.agent('n1').log.length;
  lab.writeManifest('one.json', numbered(SERVICES, 1));
  await until('the new Service is written', () => writesSince(lab, beside).frontends === 1);
  assert.deepEqual(writesSince(lab, beside), { services: 1, backends: 1, slots: 1, frontends: 1, addresses: 1 });
  assert.deepEqual(difference(whole, tableTexts(lab)), { appeared: 5, disappeared: 0 });

  const within = lab.agent('n1').log.length;
  lab.writeManifest('all.json', cluster(SERVICES, ENDPOINTS, new Map(REAL.map((n, i) => [n, REAL_PODS.slice(i === 0 ? 1 : 0)]))));
  await until('the lost endpoint is written', () => writesSince(lab, within).frontends === 1);
  assert.deepEqual(writesSince(lab, within), { backends: 1, slots: ENDPOINTS - 1, frontends: 1 });
});

test('memory that the load needed goes back when the agent is idle', async () => {
  const most = memoryOf(lab, 'VmHWM');
  await until(`it takes ${most} kB`, () => memoryOf(lab, 'VmRSS') < 0.75 * most);
});
