/** What real traffic in a lab answers to a question of a scenario. */
import type { Lab } from '#lab/lab.ts';
import type { Seen, Target } from '#lab/probe.ts';
import { scaled } from '../datapath/ground.ts';
import { type Answerer, answerText, type Question, withoutPorts } from './scenario.ts';
import { PLACES, type Place, placeOf } from './world.ts';

/** Dials at a time, and at most, until everybody who is expected has answered. */
const AT_ONCE = 8;
const DIALS = 200;
/** Dials for each answerer, and for one more, after that: nobody else may answer. */
const MORE_DIALS = 6;

/** How long an answer is waited for where one must come, and where none should. */
const ANSWER_MS = 5000;
const SILENCE_MS = 300;

/** Why a lab cannot be asked; undefined where it can. */
export function whyNotInLab({ protocol, from }: Question, flags: readonly string[]): string | undefined {
  if (protocol === 'SCTP') return 'Node.js has no SCTP sockets';
  if (placeOf(from) === undefined) return 'nobody in the lab has an address of a Service';
  return flags.includes('--detect-local-mode=BridgeInterface') ? 'pods of the lab hang on no bridge' : undefined;
}

/** `expected ..., the lab says ...`; undefined where it says what is expected. */
export async function objectionOfLab(lab: Lab, question: Question): Promise<string | undefined> {
  const { answer } = question;
  const seen = typeof answer === 'string' ? [await dial(lab, question, SILENCE_MS)] : await gather(lab, question, answer);
  if (typeof answer === 'string' ? isNobody(seen[0], answer) : isEverybody(seen, answer, question)) return undefined;
  const said = [...new Set(seen.map((one) => (typeof one === 'string' ? one : answerText([one]))))].sort().join(', ');
  return `expected ${answerText(answer)}, the lab says ${said}`;
}

/** An answerer, or what became of the client: `refused`, `dropped` or errno's name. */
type Outcome = Answerer | string;

const isNobody = (seen: Outcome | undefined, expected: string): boolean =>
  expected === 'untouched' ? typeof seen === 'string' : seen === expected;

function isEverybody(seen: readonly Outcome[], expected: readonly Answerer[], question: Question): boolean {
  const answered = seen.filter((one) => typeof one !== 'string');
  const lost = expected.filter((one) => losesItsWay(one, question));
  if (seen.some((one) => typeof one === 'string' && !(lost.length > 0 && one === 'dropped'))) return false;
  return text([...answered, ...lost], question) === text(expected, question);
}

const text = (answerers: readonly Answerer[], { answer }: Question): string => answerText(withoutPorts(answerers, answer));

async function gather(lab: Lab, question: Question, expected: readonly Answerer[]): Promise<Outcome[]> {
  const isSilent = expected.some((one) => losesItsWay(one, question));
  const round = (size: number): Promise<Outcome[]> =>
    Promise.all(Array.from({ length: size }, () => dial(lab, question, isSilent ? SILENCE_MS : ANSWER_MS)));
  const seen: Outcome[] = [];
  while (seen.length < DIALS && !isEverybody(seen, expected, question)) {
    seen.push(...(await round(AT_ONCE)));
    if (!isSilent && seen.some((one) => typeof one === 'string')) return seen;
  }
  return [...seen, ...(await round(MORE_DIALS * (expected.length + 1)))];
}

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

async function dial(lab: Lab, question: Question, timeoutMs: number): Promise<Outcome> {
  const { from, source, address, port, protocol } = question;
  const isOutside = placeOf(from)?.kind === 'outside';
  const target: Target = {
    protocol: protocol === 'TCP' ? 'tcp' : 'udp',
    address,
    port,
    timeoutMs: scaled(timeoutMs),
    ...(isOutside && { localAddress: source }),
  };
  return outcomeOf(await lab.dial(isOutside ? 'outside' : from, target));
}

function outcomeOf(seen: Seen): Outcome {
  if (seen.outcome === 'failed') return seen.code === 'EPERM' ? 'dropped' : seen.code;
  if (seen.outcome !== 'answered') return seen.outcome === 'timeout' ? 'dropped' : seen.outcome;
  const [client, server] = [seen.client, seen.server].map(splitPort) as [HostPort, HostPort];
  const name = placeAt(server.address)?.name ?? seen.answeredBy;
  return { name, client: client.address, port: server.port } as Answerer;
}

interface HostPort {
  readonly address: string;
  readonly port: number;
}

function splitPort(hostPort: string): HostPort {
  const [, address = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(hostPort) ?? [];
  return { address, port: Number(port) };
}

const placeAt = (address: string): Place | undefined =>
  PLACES.find((place) => Object.values(place.addresses).some((own) => own === address));
