import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Lab } from '#lab/lab.ts';
import { oneNode, until } from './ground.ts';
import { cluster, clusterIP, pods, serviceName } from './objects.ts';

const SERVICES = 12;
const PODS = pods(4);

let lab: Lab | undefined;

afterEach(() => lab?.down());

/** All of them over the same real pods, under names and addresses of their own. */
const servicesFrom = (first: number): object[] =>
  cluster(SERVICES, 0, new Map(Array.from({ length: SERVICES }, (_, n) => [n, PODS]))).slice(2 * first);

/** Numbers of the Services that answer now. */
async function answering(in_: Lab): Promise<number[]> {
  const numbers = Array.from({ length: SERVICES }, (_, n) => n);
  const seen = await Promise.all(numbers.map((n) => in_.dial('n1', { protocol: 'tcp', address: clusterIP(n), port: 80, timeoutMs: 300 })));
  return numbers.filter((n) => seen[n]?.outcome === 'answered');
}

/** Each size has room for eight Services of four endpoints; backend 0 stays unused. */
const LIMITS = { backends: 33, slots: 32, frontends: 8 };

for (const [table, size] of Object.entries(LIMITS)) {
  test(`when table ${table} is full, an error names it and the Service, what fitted answers, and what waits comes in when there is room`, async () => {
    lab = await oneNode(`full${table[0]}`, PODS);
    lab.writeManifest('services.json', servicesFrom(0));
    const agent = lab.agent('n1');
    await agent.start({ extraFlags: ['--map-size', `${table}=${size}`] });
    assert.deepEqual(await answering(lab), [0, 1, 2, 3, 4, 5, 6, 7]);
    const errors = agent.log.split('\n').filter((line) => line.includes('ERROR'));
    assert.deepEqual(
      errors.map((line) => /Service "(.*?):.*map "(.*)" is full, limit is (\d+) entries/.exec(line)?.slice(1)),
      [8, 9, 10, 11].map((n) => [serviceName(n), table, `${size}`]),
    );
    lab.writeManifest('services.json', servicesFrom(4));
    await until('what waited is in the tables', () => agent.log.includes('the kernel holds everything that is wanted'));
    assert.deepEqual(await answering(lab), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert.equal(agent.log.split('ERROR').length - 1, errors.length, 'each error is reported once');
  });
}
