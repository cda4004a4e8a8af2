import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Seen } from '../probe.ts';
import type { Topology } from '../topology.ts';
import { type DemoLab, type Expectation, tryPath } from './line.ts';

const ANSWERED: Seen = {
  outcome: 'answered',
  ms: 1,
  answeredBy: 'a/web-5d4f8c7b9d-abcde',
  node: 'n1',
  client: '10.0.0.1:40000',
  server: '10.244.1.5:8080',
  peer: '10.96.0.1:80',
};
const EXPECTED: Expectation = { answeredBy: ['a/web-5d4f8c7b9d-abcde'], client: '10.0.0.1' };

const topology = { pods: [{ name: 'a/web-5d4f8c7b9d-abcde', node: 'n1' }] } as unknown as Topology;

function judged(seen: Seen, expected: Expectation) {
  const lab: DemoLab = { topology, dial: async () => seen };
  return tryPath(lab, { section: 's', from: 'n1', to: 'web', target: { protocol: 'tcp', address: '10.96.0.1', port: 80 }, expected });
}

test('a line is right when who answered, the client it saw and the peer are as expected', async () => {
  assert.deepEqual(await judged(ANSWERED, EXPECTED), {
    section: 's',
    path: 'n1 → web TCP v4',
    expected: 'web/n1 sees 10.0.0.1',
    seen: 'web/n1 sees 10.0.0.1',
    ms: 1,
    right: true,
  });
});

const wrong: readonly (readonly [string, Seen, Expectation])[] = [
  ['another pod answers', { ...ANSWERED, answeredBy: 'a/other' }, EXPECTED],
  ['the server sees another client', { ...ANSWERED, client: '192.0.2.1:40000' }, EXPECTED],
  ['the client sees another peer', { ...ANSWERED, peer: '10.0.0.9:8080' }, EXPECTED],
  ['no server answers', { outcome: 'timeout', ms: 1000 }, EXPECTED],
  ['a refusal takes long', { outcome: 'refused', ms: 900 }, 'refused'],
  ['a time-out comes for a refusal', { outcome: 'timeout', ms: 400 }, 'refused'],
  ['a refusal comes for a drop', { outcome: 'refused', ms: 1 }, 'dropped'],
  ['another error comes for a drop', { outcome: 'failed', code: 'EHOSTUNREACH', ms: 1 }, 'dropped'],
  ['an answer comes for a drop', ANSWERED, 'dropped'],
];
for (const [what, seen, expected] of wrong) {
  test(`a line is wrong when ${what}`, async () => {
    assert.equal((await judged(seen, expected)).right, false);
  });
}
