/** Answers of real traffic in a lab to a question of a scenario. */
import type { Seen, Target } from '#lab/probe.ts';
import { scaled } from '../datapath/ground.ts';
import type { Dials } from '../datapath/paths.ts';
import { type Answerer, answerText, type Question, withoutPorts } from './scenario.ts';
import { PLACES, type Place, placeOf } from './world.ts';

/** Parallel dials, and maximum of dials, until all expected endpoints have answered. */
const AT_ONCE = 8;
const DIALS = 200;
/** Further dials per expected endpoint, and once more, to find unexpected endpoints. Each SCTP dial is a process. */
const moreDials = ({ protocol }: Question): number => (protocol === 'SCTP' ? 3 : 6);

/** Timeouts of a dial, ms: with an expected answer, and without. */
const ANSWER_MS = 5000;
const SILENCE_MS = 300;

/** Why the lab skips a question; undefined if it does not. */
export function whyNotInLab({ from }: Question, flags: readonly string[]): string | undefined {
  if (placeOf(from) === undefined) return 'no place of the lab has an address of a Service';
  return flags.includes('--detect-local-mode=BridgeInterface') ? 'pods of the lab are not attached to a bridge' : undefined;
}

/** Dialling in a lab: by Node.js sockets, and by a C program for SCTP. */
export interface LabDials {
  readonly sockets: Dials;
  readonly sctp: Dials;
}

/** `expected ..., the lab answers ...`; undefined if the lab answers as expected. `isSticky`: one endpoint answers all dials. */
export async function objectionOfLab(dials: LabDials, question: Question, isSticky: boolean): Promise<string | undefined> {
  const { answer } = question;
  if (typeof answer === 'string') {
    const seen = await dial(dials, question, SILENCE_MS);
    return isFailure(seen, answer) ? undefined : objection(question, [seen]);
  }
  if (!isSticky) {
    const seen = await gather(dials, question, answer);
    return isComplete(seen, answer, question) ? undefined : objection(question, seen);
  }
  const first = await dial(dials, question, ANSWER_MS);
  const seen = [first, ...(await dialAtOnce(dials, question, moreDials(question) * (answer.length + 1)))];
  return answer.some((one) => isComplete(seen, [one], question)) ? undefined : objection(question, seen);
}

function objection({ answer }: Question, seen: readonly Outcome[]): string {
  const said = [...new Set(seen.map((one) => (typeof one === 'string' ? one : answerText([one]))))].sort().join(', ');
  return `expected ${answerText(answer)}, the lab answers ${said}`;
}

/** An answerer, or the client's failure: `refused`, `dropped` or an errno name. */
type Outcome = Answerer | string;

const isFailure = (seen: Outcome, expected: string): boolean => (expected === 'untouched' ? typeof seen === 'string' : seen === expected);

function isComplete(seen: readonly Outcome[], expected: readonly Answerer[], question: Question): boolean {
  const answered = seen.filter((one) => typeof one !== 'string');
  const lost = expected.filter((one) => losesItsWay(one, question));
  if (seen.some((one) => typeof one === 'string' && !(lost.length > 0 && one === 'dropped'))) return false;
  return text([...answered, ...lost], question) === text(expected, question);
}

const text = (answerers: readonly Answerer[], { answer }: Question): string => answerText(withoutPorts(answerers, answer));

async function gather(dials: LabDials, question: Question, expected: readonly Answerer[]): Promise<Outcome[]> {
  const isSilent = expected.some((one) => losesItsWay(one, question));
  const round = (size: number): Promise<Outcome[]> => dialAtOnce(dials, question, size, isSilent ? SILENCE_MS : ANSWER_MS);
  const seen: Outcome[] = [];
  while (seen.length < DIALS && !isComplete(seen, expected, question)) {
    seen.push(...(await round(AT_ONCE)));
    if (!isSilent && seen.some((one) => typeof one === 'string')) return seen;
  }
  return [...seen, ...(await round(moreDials(question) * (expected.length + 1)))];
}

const dialAtOnce = (dials: LabDials, question: Question, times: number, timeoutMs = ANSWER_MS): Promise<Outcome[]> =>
  Promise.all(Array.from({ length: times }, () => dial(dials, question, timeoutMs)));

/**
 * A server that sees the client's own address replies directly to the client. Only the node that translated the request can translate
 * the reply back, so the client drops a reply that bypasses that node. kube-proxy behaves in the same way.
 */
function losesItsWay({ name, client }: Answerer, { from, source, by, address, via }: Question): boolean {
  if (client !== source) return false;
  const owner = PLACES.find((place) => place.kind === 'node' && Object.values(place.addresses).includes(address));
  const translator = owner?.name ?? by;
  const passed = [placeOf(name)?.node, placeOf(from)?.node];
  return !(via === 'sockets' && translator === by) && !passed.includes(translator);
}

async function dial(dials: LabDials, question: Question, timeoutMs: number): Promise<Outcome> {
  const { from, source, address, port, protocol } = question;
  const isOutside = placeOf(from)?.kind === 'outside';
  const target: Target = {
    protocol: protocol === 'TCP' ? 'tcp' : 'udp',
    address,
    port,
    timeoutMs: scaled(timeoutMs),
    ...(isOutside && { localAddress: source }),
  };
  return outcomeOf(await (protocol === 'SCTP' ? dials.sctp : dials.sockets).dial(isOutside ? 'outside' : from, target));
}

function outcomeOf(seen: Seen): Outcome {
  if (seen.outcome === 'failed') return seen.code === 'EPERM' ? 'dropped' : seen.code;
  if (seen.outcome !== 'answered') return seen.outcome === 'timeout' ? 'dropped' : seen.outcome;
  // SCTP servers identify themselves as `a1:2906`.
  const client = splitPort(seen.client);
  const server = splitPort(seen.server || seen.answeredBy);
  const name = placeAt(server.address)?.name ?? server.address;
  return { name, client: client.address, port: server.port } as Answerer;
}

/** Reverse of hostPort. */
function splitPort(text: string): { readonly address: string; readonly port: number } {
  const [, address = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(text) ?? [];
  return { address, port: Number(port) };
}

const placeAt = (address: string): Place | undefined =>
  PLACES.find((place) => Object.values(place.addresses).some((own) => own === address));
