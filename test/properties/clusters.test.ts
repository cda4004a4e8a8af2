import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { answerText, questionText } from '../semantics/scenario.ts';
import { createTracedCluster } from '../semantics/trace-cluster.ts';
import { cluster, type DrawnCluster } from './arbitrary-cluster.ts';
import { askEverything } from './ask-cluster.ts';
import { check } from './check.ts';
import { saveScenario } from './found-scenario.ts';
import { oracle } from './oracle.ts';

/** The first question on which the planned tables and the rules disagree. */
function disagreement(drawn: DrawnCluster) {
  const { scenario, step, cluster: known, questions } = askEverything(drawn);
  const traced = createTracedCluster(scenario);
  traced.follow(step.objects);
  for (const question of questions) {
    asked++;
    const [seen, answer] = [traced.ask(question), oracle(known, question)];
    if (answerText(seen) !== answerText(answer)) return { drawn, question, seen, answer };
  }
  return undefined;
}

let asked = 0;

test('the planned tables say of any cluster what the rules say', () => {
  asked = 0;
  const property = fc.property(cluster, (drawn) => {
    const found = disagreement(drawn);
    if (found !== undefined)
      assert.fail(`${questionText(found.question)}: the tables say ${answerText(found.seen)}, the rules ${answerText(found.answer)}`);
  });
  check(property, 300, (drawn) => {
    const found = disagreement(drawn);
    return found === undefined ? [] : [`saved as ${saveScenario(found)}`];
  });
  console.log(asked);
});
