import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { memoryOf } from './ground.ts';

const SAMPLE = join(import.meta.dirname, '../fixtures/shop-cluster.yaml');

/** Longer than the agent waits before it gives back what its start needed. */
const AT_REST_MS = 3000;

let lab: Lab | undefined;

after(() => lab?.down());

test('the agent at rest with the sample cluster takes less than 80 MB', async () => {
  lab = await createLab({ name: `mem${process.pid % 100_000}`, files: [SAMPLE], agents: false });
  await lab.agent('n1').start();
  const started = memoryOf(lab, 'VmRSS');
  await sleep(AT_REST_MS);
  const atRest = memoryOf(lab, 'VmRSS');
  assert.ok(atRest < 80 << 10, `${atRest} kB`);
  assert.ok(atRest < started, `${started} kB when it was ready, ${atRest} kB at rest`);
});
