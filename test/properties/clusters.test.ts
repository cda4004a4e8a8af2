import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PACKET_PATHS } from '#reconcile/ports/datapath.ts';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { createProgramJudge, type ProgramJudge } from '../semantics/programs.ts';
import { answerOfOneFlow, serviceCidrsOf, whyNotAsked } from '../semantics/programs-answers.ts';
import { type Answer, answerText, type Question, questionText } from '../semantics/scenario.ts';
import { createTracedCluster } from '../semantics/trace-cluster.ts';
import { inFamily } from '../semantics/world.ts';
import { cluster, type DrawnCluster } from './arbitrary-cluster.ts';
import { type Asked, askEverything } from './ask-cluster.ts';
import { check } from './check.ts';
import { saveScenario } from './found-scenario.ts';
import { oracle } from './oracle.ts';

/*
 * Compares answers to all questions, several hundred, of arbitrary small clusters: by the planned tables and ruleset (the first judge), by
 * the rules on the objects (the oracle), and by the loaded programs on one flow (the second judge).
 */

const CLUSTERS = { ofTables: 100, ofPrograms: 60 };

/** Answers questions about one cluster. */
type Judge = (question: Question) => Answer;

interface Disagreement {
  readonly question: Question;
  readonly answer: Answer;
  readonly text: string;
}

/** The first disagreement that `find` returns for the questions that are `meant`. */
function firstOf(
  asked: Asked,
  find: (question: Question) => Disagreement | undefined,
  meant: (question: Question) => boolean = () => true,
): Disagreement | undefined {
  for (const question of asked.questions.filter(meant)) {
    questionCount++;
    const found = find(question);
    if (found !== undefined) return found;
  }
  return undefined;
}

let questionCount = 0;

function tracedJudge({ scenario, step }: Asked): Judge {
  const traced = createTracedCluster(scenario);
  traced.follow(step.objects);
  return traced.ask;
}

function rulesAgainstTables(drawn: DrawnCluster): Disagreement | undefined {
  const asked = askEverything(drawn);
  const tables = tracedJudge(asked);
  return firstOf(asked, (question) => {
    const [seen, answer] = [tables(question), oracle(asked.cluster, question)];
    if (answerText(seen) === answerText(answer)) return undefined;
    return { question, answer, text: `the plans answer ${answerText(seen)}, the rules ${answerText(answer)}` };
  });
}

const programsAgainstTables =
  (programs: ProgramJudge) =>
  (drawn: DrawnCluster): Disagreement | undefined => {
    const asked = askEverything(drawn);
    const { scenario, step } = asked;
    for (const node of Object.keys(drawn.nodes)) programs.fill(node, step.objects, scenario.agent);
    const [tables, cidrs] = [tracedJudge(asked), serviceCidrsOf(scenario.agent)];
    const find = (question: Question): Disagreement | undefined => {
      const answer = tables(question);
      const seen = answerOfOneFlow(programs, question, cidrs);
      if (isOneOf(seen, answer)) return undefined;
      return { question, answer, text: `the programs answer ${answerText(seen)}, the tables ${answerText(answer)}` };
    };
    return firstOf(asked, find, (question) => whyNotAsked(question) === undefined && !isSecondOfAnother(drawn, question));
  };

/** The programs' world has no route to a second address of the other node. */
const isSecondOfAnother = ({ nodes }: DrawnCluster, { address, by, family }: Question): boolean =>
  Object.entries(nodes).some(([name, { addresses }]) => name !== by && addresses.slice(1).some((ip) => inFamily(ip, family) === address));

const isOneOf = (seen: Answer, answer: Answer): boolean =>
  typeof seen === 'string' || typeof answer === 'string'
    ? seen === answer
    : seen.every((one) => answer.some((other) => answerText([one]) === answerText([other])));

/** Checks that `find` finds no disagreement; saves a counterexample as a scenario. */
function agree(find: (drawn: DrawnCluster) => Disagreement | undefined, clusters: number): void {
  questionCount = 0;
  const property = fc.property(cluster, (drawn) => {
    const found = find(drawn);
    if (found !== undefined) assert.fail(`${questionText(found.question)}: ${found.text}`);
  });
  check(property, clusters, (drawn) => {
    const found = find(drawn);
    return found === undefined ? ['(not reproducible)'] : [`Saved as ${saveScenario({ drawn, ...found })}`];
  });
}

test('the planned tables and ruleset of any cluster answer as the rules do', (t) => {
  agree(rulesAgainstTables, CLUSTERS.ofTables);
  t.diagnostic(`${questionCount} questions`);
});

for (const packetPath of PACKET_PATHS)
  test(`the loaded programs in any cluster answer as the planned tables do, packet path ${packetPath}`, skipIf(whyNoDatapath()), (t) => {
    const programs = createProgramJudge(packetPath);
    t.after(() => programs.close());
    agree(programsAgainstTables(programs), CLUSTERS.ofPrograms);
    t.diagnostic(`${questionCount} questions`);
  });
