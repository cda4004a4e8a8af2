/** What the loaded programs answer to a question of a scenario. */
import { type Address, familyOf, type Prefix, parsePrefix, prefixContains } from '#lib/address.ts';
import type { PacketQuestion, ProgramJudge, Verdict } from './programs.ts';
import { type Answer, type Answerer, answerText, type Question, withoutPorts } from './scenario.ts';
import { PLACES, type Place } from './world.ts';

/** Flows asked before a set of answerers counts as complete: of 4 equal ones each is missed by 300 once in 10^37 runs. */
const FLOWS = 300;
/** Flows for each answerer, and for one more, that are asked once all who are expected have answered: one more of 3 is missed once in 10^6 runs. */
const MORE_FLOWS = 12;

type Translated = Extract<Verdict, { readonly outcome: 'translated' }>;

/** Why the programs cannot be asked; undefined where they can. */
export const whyNotAsked = ({ protocol }: Question): string | undefined =>
  protocol === 'SCTP' ? 'the programs leave SCTP to table inet weir' : undefined;

/** Everybody who answers, or what becomes of the question. The judge's nodes are filled. `serviceCidrs`: of the agents. */
export const answerOfPrograms = (judge: ProgramJudge, question: Question, serviceCidrs: readonly Prefix[]): Answer =>
  judge.visit(question.by, () => ask(judge, question, serviceCidrs));

/** What becomes of one flow: of several who may answer, one. */
export const answerOfOneFlow = (judge: ProgramJudge, question: Question, serviceCidrs: readonly Prefix[]): Answer =>
  judge.visit(question.by, () => {
    const verdict = follow(judge, question);
    if (verdict.outcome !== 'translated') return finalAnswer(verdict.outcome, question, serviceCidrs);
    return [answererOf(verdict, question)];
  });

function ask(judge: ProgramJudge, question: Question, serviceCidrs: readonly Prefix[]): Answer {
  const answerers = new Map<string, Answerer>();
  const expected = answerText(question.answer);
  for (let [asked, left] = [0, FLOWS]; left > 0; asked++, left--) {
    const verdict = follow(judge, question);
    if (verdict.outcome !== 'translated') return asked === 0 ? finalAnswer(verdict.outcome, question, serviceCidrs) : mixed(verdict);
    const answerer = answererOf(verdict, question);
    const key = answerText([answerer]);
    if (answerers.has(key)) continue;
    answerers.set(key, answerer);
    if (answerText(withoutPorts([...answerers.values()], question.answer)) === expected) left = MORE_FLOWS * (answerers.size + 1);
  }
  return [...answerers.values()];
}

const answererOf = ({ backend, port, seen }: Translated, question: Question): Answerer => ({
  name: placeAt(backend)?.name ?? backend,
  client: seen ?? question.source,
  port,
});

function mixed({ outcome }: Verdict): never {
  throw new Error(`Some flows are ${outcome}, others are answered: all should fare alike`);
}

const placeAt = (address: Address): Place | undefined => PLACES.find((place) => Object.values(place.addresses).includes(address));

/** A socket that is left alone sends packets; packets that are left alone may reach the other node. */
function follow(judge: ProgramJudge, question: Question): Verdict {
  const protocol = question.protocol === 'TCP' ? 'tcp' : 'udp';
  const { address, port, source, by, from } = question;
  const dialled = { protocol, address, port } as const;
  const kind = PLACES.find((place) => place.name === from)?.kind;
  if (question.via === 'sockets') {
    const verdict = judge.socket(by, { ...dialled, of: kind === 'node' ? 'node' : 'pod' });
    if (verdict.outcome !== 'untouched') return verdict;
  }
  const packet = (node: string, enters: PacketQuestion['enters']) => judge.packet(node, { ...dialled, source, enters });
  const first = kind === 'node' ? ({ outcome: 'untouched' } as const) : packet(by, kind === 'pod' ? 'pods' : 'wire');
  const owner = PLACES.find((place) => place.kind === 'node' && place.addresses[familyOf(address)] === address);
  return first.outcome === 'untouched' && owner && owner.name !== by ? packet(owner.name, 'wire') : first;
}

/** What is left untouched: table `inet weir` drops addresses of the Service ranges; others are the network's affair. */
function finalAnswer(outcome: 'refused' | 'dropped' | 'untouched', question: Question, serviceCidrs: readonly Prefix[]): Answer {
  const { address, source, port } = question;
  if (outcome !== 'untouched') return outcome;
  if (serviceCidrs.some((range) => prefixContains(range, address))) return 'dropped';
  const place = placeAt(address);
  return place?.kind === 'pod' ? [{ name: place.name, client: source, port }] : 'untouched';
}

/** Ranges of --service-cidr. */
export const serviceCidrsOf = (flags: readonly string[]): readonly Prefix[] =>
  flags
    .filter((flag) => flag.startsWith('--service-cidr='))
    .flatMap((flag) => flag.slice('--service-cidr='.length).split(','))
    .flatMap((range) => parsePrefix(range) ?? []);
