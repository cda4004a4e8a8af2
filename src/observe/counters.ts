/** Counts of what has happened since the process started, by name and one label from a small fixed set. */
export interface Counters {
  increment(name: string, label: string): void;
  /** Name, then label, to count. */
  snapshot(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Counters that start at nothing. */
export function createCounters(): Counters {
  const counts = new Map<string, Map<string, number>>();
  return {
    increment(name, label) {
      const labels = counts.get(name) ?? new Map<string, number>();
      counts.set(name, labels.set(label, (labels.get(label) ?? 0) + 1));
    },
    snapshot: () => Object.fromEntries([...counts].map(([name, labels]) => [name, Object.fromEntries(labels)])),
  };
}
