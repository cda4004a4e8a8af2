import type { Problem } from './source.ts';

/** A problem, and what makes it the same one when it is found again although its wording moved on (a count). */
export interface Finding extends Problem {
  readonly id: string;
}

/** The problems that stand now, by what they are about. Each is told once, until it has been solved and comes back. */
export interface Standing {
  /** All problems of one subject. Returns whether there were some before and are none now. */
  replace(subject: string, findings: readonly Finding[]): boolean;
}

/** `tell` gets each problem once. */
export function createStanding(tell: (problem: Problem) => void): Standing {
  const standing = new Map<string, ReadonlySet<string>>();
  return {
    replace(subject, findings) {
      const before = standing.get(subject);
      if (findings.length === 0) return standing.delete(subject);
      const now = new Map(findings.map((finding) => [finding.id, finding]));
      standing.set(subject, new Set(now.keys()));
      for (const [id, { reason, message }] of now) if (!before?.has(id)) tell({ reason, message });
      return false;
    },
  };
}
