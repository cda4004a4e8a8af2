/** Limit of client sets in the table. The kernel walks all sets of a table for each new one: 500 sets take 0.2 s, 5,000 take 30 s. */
export const MAX_MEMORIES = 500;

/** Shares MAX_MEMORIES among the Service ports that remember their clients. */
export interface Memories {
  /** Replaces the sets of a Service port by `count` sets. Returns whether there was room for all of them; otherwise it has none. */
  take(identity: string, count: number): boolean;
  /** Service ports without room for their sets. */
  refused(): Iterable<string>;
  isRefused(identity: string): boolean;
  /** A refused Service port for which there is room now. */
  next(): string | undefined;
}

/** No Service port has a set. */
export function createMemories(): Memories {
  const taken = new Map<string, number>();
  const refused = new Map<string, number>();
  let total = 0;

  return {
    take(identity, count) {
      total -= taken.get(identity) ?? 0;
      taken.delete(identity);
      refused.delete(identity);
      const hasRoom = total + count <= MAX_MEMORIES;
      if (!hasRoom) refused.set(identity, count);
      else if (count > 0) taken.set(identity, count);
      if (hasRoom) total += count;
      return hasRoom;
    },
    refused: () => refused.keys(),
    isRefused: (identity) => refused.has(identity),
    next: () => [...refused].find(([, count]) => total + count <= MAX_MEMORIES)?.[0],
  };
}
