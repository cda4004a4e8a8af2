/** Answers of the loaded programs to a question of a scenario. */
import { type Address, familyOf, type Prefix, parsePrefix, prefixContains } from '#lib/address.ts';
import type { PacketQuestion, ProgramJudge, Verdict } from './programs.ts';
import { type Answer, type Answerer, answerText, type Question, withoutPorts } from './scenario.ts';
import { PLACES, type Place } from './world.ts';

/** Flows until a set of answerers counts as complete: 300 flows miss one of 4 equally likely ones once in 10^37 runs. */
const FLOWS = 300;
/** Further flows per answerer, plus one share, after all expected ones have answered: they miss a third one once in 10^6 runs. */
const MORE_FLOWS = 12;

type Translated = Extract<Verdict, { readonly outcome: 'translated' }>;

/** Why the programs skip a question; undefined if they do not. */
export const whyNotAsked = ({ protocol }: Question): string | undefined =>
  protocol === 'SCTP' ? 'the programs leave SCTP to table inet weir' : undefined;

/** All answerers, or the outcome of a question. The tables of the judge's nodes are filled. `serviceCidrs`: of the agents. */
export const answerOfPrograms = (judge: ProgramJudge, question: Question, serviceCidrs: readonly Prefix[]): Answer =>
  judge.visit(question.by, () => ask(judge, question, serviceCidrs));

/** The answer to one flow: one of the possible answerers. */
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
  throw new Error(`Some flows are ${outcome}, others are answered: all should have one outcome`);
}

const placeAt = (address: Address): Place | undefined => PLACES.find((place) => Object.values(place.addresses).includes(address));

/** An untranslated socket sends packets; untranslated packets may reach the other node. */
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

/** Table `inet weir` drops untranslated packets to the Service ranges; the network delivers or drops the rest. */
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
