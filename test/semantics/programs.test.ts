import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { PACKET_PATHS } from '#reconcile/ports/datapath.ts';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { createProgramJudge, type ProgramJudge } from './programs.ts';
import { answerOfPrograms, serviceCidrsOf, whyNotAsked } from './programs-answers.ts';
import { readScenario } from './read-scenario.ts';
import { answerText, type Question, questionText, type Scenario, type Step, withoutPorts } from './scenario.ts';

const FOLDER = `${import.meta.dirname}/scenarios`;

const kernel = skipIf(whyNoDatapath());

for (const packetPath of PACKET_PATHS) {
  const judge = createProgramJudge(packetPath);
  after(() => judge.close());
  for (const file of readdirSync(FOLDER))
    test(`the loaded programs answer as ${file} expects, packet path ${packetPath}`, kernel, (t) => {
      const scenario = readScenario(`${FOLDER}/${file}`);
      const [judged, left] = [scenario.steps.flatMap((step) => judgeStep(judge, scenario, step)), skipped(scenario)];
      for (const [reason, count] of left) t.diagnostic(`${count} lines skipped: ${reason}`);
      assert.equal(judged.join('\n'), '');
    });
}

/** One line for each wrong answer. */
function judgeStep(programs: ProgramJudge, { name, agent }: Scenario, { number, objects, questions }: Step): string[] {
  for (const node of objects) if (node.kind === 'Node') programs.fill(node.key, objects, agent);
  const cidrs = serviceCidrsOf(agent);
  return questions
    .filter((question) => whyNotAsked(question) === undefined)
    .flatMap((question) => wrong(question, answerOfPrograms(programs, question, cidrs)).map((text) => `${name}, step ${number}, ${text}`));
}

function wrong(question: Question, answer: Question['answer']): string[] {
  const [expected, actual] = [question.answer, withoutPorts(answer, question.answer)].map(answerText);
  return expected === actual
    ? []
    : [`line ${question.line.number}, ${questionText(question)}: expected ${expected}, the programs answer ${actual}`];
}

function skipped({ steps }: Scenario): Map<string, number> {
  const reasons = steps.flatMap(({ questions }) => questions.flatMap((question) => whyNotAsked(question) ?? []));
  return new Map([...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]) => [reason, all.length]));
}
