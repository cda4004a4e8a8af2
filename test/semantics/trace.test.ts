import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { readScenario } from './read-scenario.ts';
import { answerText, type Question, questionText, type Scenario, withoutPorts } from './scenario.ts';
import { createTracedCluster, type TracedCluster } from './trace-cluster.ts';

/** `line 7, a1 -> 172.30.0.41:80/tcp via packets by n1: expected ..., the tables answer ...` for a wrong line. */
function objection(cluster: TracedCluster, question: Question): string[] {
  const seen = cluster.ask(question);
  const [expected, said] = [question.answer, withoutPorts(seen, question.answer)].map(answerText);
  if (said === expected) return [];
  return [`line ${question.line.number}, ${questionText(question)}: expected ${expected}, the tables answer ${said}`];
}

function objections(scenario: Scenario): string[] {
  const cluster = createTracedCluster(scenario);
  return scenario.steps.flatMap(({ objects, questions }) => {
    cluster.follow(objects);
    return questions.flatMap((question) => objection(cluster, question));
  });
}

for (const file of globSync(join(import.meta.dirname, 'scenarios/*.yaml')).sort()) {
  test(`${basename(file)}: the planned tables answer as the scenario expects`, () => {
    const wrong = objections(readScenario(file));
    assert.deepEqual(wrong, [], wrong.join('\n'));
  });
}
