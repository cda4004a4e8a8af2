/** Sets of clients that the whole table may have. The kernel walks all of a table's sets for each new one: 500 take 0.2 s, 5,000 half a minute. */
export const MAX_MEMORIES = 500;

/** Which Service ports may remember their clients, see MAX_MEMORIES. */
export interface Memories {
  /** Takes so many sets for a Service port in the place of those it had. Says whether there is room: all of them or none. */
  take(identity: string, count: number): boolean;
  /** Service ports without room for their sets. */
  refused(): Iterable<string>;
  isRefused(identity: string): boolean;
  /** A refused Service port for which there is room now. */
  next(): string | undefined;
}

/** Nobody remembers anybody yet. */
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
