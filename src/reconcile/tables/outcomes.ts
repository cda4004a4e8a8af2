import { OUTCOMES } from '#abi/generated.ts';
import type { Tables } from '../ports/tables.ts';

type Readable = Pick<Tables, 'dump'>;

/** How often each decision was taken, by its number. Throws where the kernel cannot be read. */
export const countOutcomes = (tables: Readable): ReadonlyMap<number, number> =>
  new Map(tables.dump('counters').map(({ key, value }) => [key.value, Number(value.count)]));

/** The same by name; 0 for a decision that never was. */
export function readOutcomes(tables: Readable): Record<string, number> {
  const counts = countOutcomes(tables);
  return Object.fromEntries(OUTCOMES.map((name, i) => [name, counts.get(i) ?? 0]));
}
