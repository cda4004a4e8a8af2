import { OUTCOMES } from '#abi/generated.ts';
import type { Tables } from './tables.ts';

/** How often each decision was taken, by its name; 0 for one that never was. Throws where the kernel cannot be read. */
export function readOutcomes(tables: Pick<Tables, 'dump'>): Record<string, number> {
  const counts = new Map(tables.dump('counters').map(({ key, value }) => [key.value, Number(value.count)]));
  return Object.fromEntries(OUTCOMES.map((name, i) => [name, counts.get(i) ?? 0]));
}
