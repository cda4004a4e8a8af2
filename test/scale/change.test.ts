import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Lab } from '#lab/lab.ts';
import { difference, oneNode, tableTexts, until, writesSince } from './ground.ts';
import { cluster, clusterIP, numbered, pods } from './objects.ts';

const PODS = pods(3);
const [FIRST, SECOND, THIRD] = PODS as [(typeof PODS)[0], (typeof PODS)[0], (typeof PODS)[0]];
const CHANGED = 5;

let lab: Lab | undefined;

afterEach(() => lab?.down());

/** The Service has two endpoints; then one of them is replaced by another. */
async function replaceOneEndpoint(others: number): Promise<{ writes: object; appeared: number; disappeared: number }> {
  lab = await oneNode(`ch${others}x`, PODS);
  const rest = cluster(others + 1, 4).slice(2 * (CHANGED + 1));
  lab.writeManifest('rest.json', [...cluster(CHANGED, 4), ...rest]);
  lab.writeManifest('changed.json', numbered(CHANGED, [FIRST, SECOND]));
  await lab.agent('n1').start({ extraFlags: ['-v', '2'] });
  const before = tableTexts(lab);
  const from = lab.agent('n1').log.length;
  lab.writeManifest('changed.json', numbered(CHANGED, [FIRST, THIRD]));
  await until('tables are written', () => Object.keys(writesSince(lab as Lab, from)).length > 0);
  const after = tableTexts(lab);
  const load = { target: { protocol: 'tcp', address: clusterIP(CHANGED), port: 80 }, concurrency: 2, requests: 40 } as const;
  const { answeredBy } = await lab.load('n1', load).done;
  assert.deepEqual(Object.keys(answeredBy).sort(), ['s/p1', 's/p3']);
  return { writes: writesSince(lab, from), ...difference(before, after) };
}

const HANDFUL = {
  // Backend p3 admitted and p2 retired, two slots, one frontend: the retired backend and the old frontend are replaced
  writes: { backends: 2, slots: 2, frontends: 1 },
  appeared: 5,
  disappeared: 2,
};

for (const services of [10, 5000]) {
  test(`one endpoint that is replaced among ${services} Services costs five writes`, async () => {
    assert.deepEqual(await replaceOneEndpoint(services), HANDFUL);
  });
}
