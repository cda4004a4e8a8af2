/** What real traffic in a lab answers to a question of a scenario. */
import type { Seen, Target } from '#lab/probe.ts';
import { scaled } from '../datapath/ground.ts';
import type { Dials } from '../datapath/paths.ts';
import { type Answerer, answerText, type Question, withoutPorts } from './scenario.ts';
import { PLACES, type Place, placeOf } from './world.ts';

/** Dials at a time, and at most, until everybody who is expected has answered. */
const AT_ONCE = 8;
const DIALS = 200;
/** Dials for each answerer, and for one more, after that: nobody else may answer. Each of SCTP is a process of its own. */
const moreDials = ({ protocol }: Question): number => (protocol === 'SCTP' ? 3 : 6);

/** How long an answer is waited for where one must come, and where none should. */
const ANSWER_MS = 5000;
const SILENCE_MS = 300;

/** Why a lab cannot be asked; undefined where it can. */
export function whyNotInLab({ from }: Question, flags: readonly string[]): string | undefined {
  if (placeOf(from) === undefined) return 'nobody in the lab has an address of a Service';
  return flags.includes('--detect-local-mode=BridgeInterface') ? 'pods of the lab hang on no bridge' : undefined;
}

/** Who dials in a lab: by sockets, and where Node.js has none. */
export interface LabDials {
  readonly sockets: Dials;
  readonly sctp: Dials;
}

/** `expected ..., the lab says ...`; undefined where it says what is expected. `isSticky`: one of those who may answer always does. */
export async function objectionOfLab(dials: LabDials, question: Question, isSticky: boolean): Promise<string | undefined> {
  const { answer } = question;
  if (typeof answer === 'string') {
    const seen = await dial(dials, question, SILENCE_MS);
    return isNobody(seen, answer) ? undefined : objection(question, [seen]);
  }
  if (!isSticky) {
    const seen = await gather(dials, question, answer);
    return isEverybody(seen, answer, question) ? undefined : objection(question, seen);
  }
  const first = await dial(dials, question, ANSWER_MS);
  const seen = [first, ...(await dialAtOnce(dials, question, moreDials(question) * (answer.length + 1)))];
  return answer.some((one) => isEverybody(seen, [one], question)) ? undefined : objection(question, seen);
}

function objection({ answer }: Question, seen: readonly Outcome[]): string {
  const said = [...new Set(seen.map((one) => (typeof one === 'string' ? one : answerText([one]))))].sort().join(', ');
  return `expected ${answerText(answer)}, the lab says ${said}`;
}

/** An answerer, or what became of the client: `refused`, `dropped` or errno's name. */
type Outcome = Answerer | string;

const isNobody = (seen: Outcome, expected: string): boolean => (expected === 'untouched' ? typeof seen === 'string' : seen === expected);

function isEverybody(seen: readonly Outcome[], expected: readonly Answerer[], question: Question): boolean {
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
  while (seen.length < DIALS && !isEverybody(seen, expected, question)) {
    seen.push(...(await round(AT_ONCE)));
    if (!isSilent && seen.some((one) => typeof one === 'string')) return seen;
  }
  return [...seen, ...(await round(moreDials(question) * (expected.length + 1)))];
}

const dialAtOnce = (dials: LabDials, question: Question, times: number, timeoutMs = ANSWER_MS): Promise<Outcome[]> =>
  Promise.all(Array.from({ length: times }, () => dial(dials, question, timeoutMs)));

/**
 * The answer of a server that sees the client's own address goes straight to the client, and only the node that translated can undo it.
 * So it is not understood where it does not pass there, and neither is it with kube-proxy.
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
  // Servers of SCTP say `a1:2906` of themselves.
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
