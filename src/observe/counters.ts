/** Event counts since the start of the process, by name and one label of a small fixed set. */
export interface Counters {
  increment(name: string, label: string): void;
  /** `name.label` to count. */
  totals(): Readonly<Record<string, number>>;
}

/** All counts are 0. */
export function createCounters(): Counters {
  const counts = new Map<string, number>();
  return {
    increment(name, label) {
      const key = `${name}.${label}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    totals: () => Object.fromEntries(counts),
  };
}
