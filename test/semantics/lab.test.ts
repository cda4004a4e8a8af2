import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { createLabJudge, type LabJudge } from './lab-judge.ts';
import { readScenario } from './read-scenario.ts';

const kernel = skipIf(whyNoDatapath());

const scenarios = globSync(`${import.meta.dirname}/scenarios/*.yaml`).map(readScenario);

const stopped = new AbortController();
let judge: LabJudge | undefined;
before(async () => {
  if (!kernel.skip) judge = await createLabJudge(scenarios, stopped.signal);
});
after(async () => {
  stopped.abort();
  await judge?.close();
});

// Changed flags restart the agents, so scenarios with equal flags run one after the other.
for (const scenario of scenarios.toSorted((a, b) => a.agent.join().localeCompare(b.agent.join()))) {
  test(`real traffic answers as ${scenario.name}.yaml expects`, kernel, async (t) => {
    const { wrong, skipped } = (await judge?.judge(scenario)) ?? assert.fail('There is no lab');
    for (const [reason, count] of skipped) t.diagnostic(`${count} questions skipped: ${reason}`);
    assert.equal(wrong.join('\n'), '');
  });
}
