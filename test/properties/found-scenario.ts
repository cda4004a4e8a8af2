import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { familyOf, parseAddress } from '#lib/address.ts';
import type { Answer, Question } from '../semantics/scenario.ts';
import { PLACES } from '../semantics/world.ts';
import type { DrawnCluster } from './arbitrary-cluster.ts';

const FOLDER = join(import.meta.dirname, '../semantics/scenarios');

/** A question with different answers of a judge and of the rules. */
export interface Disagreement {
  readonly drawn: DrawnCluster;
  readonly question: Question;
  /** Answer of the rules. */
  readonly answer: Answer;
}

/** Writes a scenario file of a disagreement, for review; returns its path. */
export function saveScenario({ drawn, question, answer }: Disagreement): string {
  const text = dump({ covers: [], ...drawn, expect: [lineOf(question, answer)] }, { flowLevel: 3, lineWidth: 140 });
  const path = join(FOLDER, `found-${createHash('sha256').update(text).digest('hex').slice(0, 8)}.yaml`);
  writeFileSync(path, text);
  return path;
}

/** A line of `expect`. */
export function lineOf({ line, via, from, protocol }: Question, answer: Answer): string {
  const asked = line.text.slice(0, line.text.lastIndexOf(': '));
  const kind = PLACES.find(({ name }) => name === from)?.kind;
  const way = kind === 'pod' && protocol !== 'SCTP' ? ` via ${via}` : '';
  const [question, by] = asked.split(/(?= by )/);
  return `${question}${way}${by ?? ''}: ${answerLine(answer, from)}`;
}

function answerLine(answer: Answer, from: string): string {
  if (typeof answer === 'string') return answer;
  const groups = Map.groupBy(answer, ({ client }) => client);
  return Array.from(groups, ([client, those]) => {
    const names = [...new Set(those.map(({ name, port }) => `${name}${port === undefined ? '' : `:${port}`}`))].sort().join(' ');
    const seen = nameOf(client);
    return seen === from ? names : `${names} as ${seen}`;
  }).join(', ');
}

const nameOf = (text: string): string => {
  const address = parseAddress(text);
  if (address === undefined) return text;
  return PLACES.find(({ addresses }) => addresses[familyOf(address)] === address)?.name ?? address;
};
