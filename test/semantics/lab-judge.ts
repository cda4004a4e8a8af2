/** The judge of real traffic: two labs, one with the socket path for pods and one with the packet path. */

import type { Lab } from '#lab/lab.ts';
import { familyOf } from '#lib/address.ts';
import type { ModelObject } from '#model/objects.ts';
import { ip } from '../datapath/ground.ts';
import { sctpDials } from '../datapath/sctp.ts';
import { createLabAgents } from './lab-agents.ts';
import { type LabDials, objectionOfLab, whyNotInLab } from './lab-answers.ts';
import { NODES, raiseScenarioLab } from './lab-world.ts';
import { type Question, questionText, type Scenario, type Step } from './scenario.ts';
import { placeOf } from './world.ts';

/** Results of the labs for one scenario. */
export interface LabVerdict {
  /** One line for each wrong answer: `file, step, line: expected ..., the lab answers ...`. */
  readonly wrong: readonly string[];
  /** Reason -> number of skipped questions. */
  readonly skipped: ReadonlyMap<string, number>;
}

export interface LabJudge {
  judge(scenario: Scenario): Promise<LabVerdict>;
  close(): Promise<void>;
}

/** Builds the labs for these scenarios. */
export async function createLabJudge(scenarios: readonly Scenario[], signal: AbortSignal): Promise<LabJudge> {
  const raised = await Promise.allSettled([raiseOne('s', 'all', scenarios, signal), raiseOne('p', 'host', scenarios, signal)]);
  const labs = raised.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const close = async () => void (await Promise.all(labs.map(({ lab }) => lab.down())));
  const failed = raised.find((one) => one.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return {
    close,
    async judge(scenario) {
      const wrong = await Promise.all(labs.map((lab) => lab.judge(scenario)));
      const reasons = questionsOf(scenario).flatMap((question) => whyNotInLab(question, scenario.agent) ?? []);
      const skipped = new Map([...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]) => [reason, all.length]));
      return { wrong: wrong.flat(), skipped };
    },
  };
}

const questionsOf = ({ steps }: Scenario): Question[] => steps.flatMap(({ questions }) => questions);

async function raiseOne(letter: string, scope: 'all' | 'host', scenarios: readonly Scenario[], signal: AbortSignal) {
  const lab = await raiseScenarioLab(letter, scenarios, signal);
  const agents = createLabAgents(lab, scope);
  const dials = { sockets: lab, sctp: sctpDials(lab) };
  const judgeStep = async ({ name, agent }: Scenario, { number, manifests, objects, questions }: Step): Promise<string[]> => {
    const asked = questions.filter((question) => isFor(question, scope) && whyNotInLab(question, agent) === undefined);
    if (asked.length === 0) return [];
    await agents.follow(manifests, agent);
    const wrong = await ask({ lab, dials, objects }, asked);
    return wrong.map((text) => `${name}, step ${number}, ${text}`);
  };
  return {
    lab,
    async judge(scenario: Scenario): Promise<string[]> {
      const wrong: string[] = [];
      await forgetFlows(lab);
      for (const step of scenario.steps) wrong.push(...(await judgeStep(scenario, step)));
      return wrong;
    },
  };
}

/** Without this, a client that reuses a port would follow the flow of an earlier scenario, for two minutes after an unanswered SYN. */
const forgetFlows = (lab: Lab) => Promise.all(NODES.map((node) => lab.exec(node, ['conntrack', '-F'])));

/** Each question runs in one lab. Nodes dial by sockets, outside clients by packets. */
const isFor = ({ via }: Question, scope: 'all' | 'host'): boolean => (via === 'sockets') === (scope === 'all');

interface Asked {
  readonly lab: Lab;
  readonly dials: LabDials;
  /** Objects of the step. */
  readonly objects: readonly ModelObject[];
}

/** Runs the questions in parallel, except that outside clients use one node at a time. */
async function ask({ lab, dials, objects }: Asked, questions: readonly Question[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const node of NODES) {
    const round = questions.filter((question) => (isOutside(question) ? question.by === node : node === NODES[0]));
    for (const question of round.filter(isOutside)) routeBy(lab, question);
    const objections = await Promise.all(round.map((question) => objectionOfLab(dials, question, isSticky(objects, question))));
    wrong.push(...objections.flatMap((text, i) => (text === undefined ? [] : [`${place(round[i] as Question)}: ${text}`])));
  }
  return wrong;
}

/** Whether the dialled address and port belong to a Service with session affinity. */
const isSticky = (objects: readonly ModelObject[], { address, port }: Question): boolean =>
  objects.some(({ kind, value }) => {
    if (kind !== 'Service' || value.affinitySeconds === 0) return false;
    const own = [...value.clusterIPs, ...value.externalIPs, ...value.loadBalancerIPs];
    return own.includes(address) || value.ports.some(({ nodePort }) => nodePort === port);
  });

const place = (question: Question): string => `line ${question.line.number}, ${questionText(question)}`;

const isOutside = ({ from }: Question): boolean => placeOf(from)?.kind === 'outside';

/** Makes the router between outside and the nodes send the dialled address, unless it is a node's own, by the node of the question. */
function routeBy(lab: Lab, { address, by, family }: Question): void {
  if (lab.topology.nodes.some((node) => node.addresses.includes(address))) return;
  ip(lab, 'wire', `${familyOf(address) === 6 ? '-6 ' : ''}route replace ${address} via ${placeOf(by)?.addresses[family]}`);
}
