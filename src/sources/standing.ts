import type { Problem } from './source.ts';

/** A problem, and what makes it the same one when it is found again although its wording moved on (a count). */
export interface Finding extends Problem {
  readonly id: string;
}

/** The problems that stand now, by what they are about. Each is told once, until it has been solved and comes back. */
export interface Standing<F extends Finding = Finding> {
  /** All problems of one subject. Returns whether there were some before and are none now. */
  replace(subject: string, findings: readonly F[]): boolean;
}

/** `tell` gets each problem once. */
export function createStanding<F extends Finding = Finding>(tell: (finding: F) => void): Standing<F> {
  const standing = new Map<string, ReadonlySet<string>>();
  return {
    replace(subject, findings) {
      const before = standing.get(subject);
      if (findings.length === 0) return standing.delete(subject);
      const now = new Map(findings.map((finding) => [finding.id, finding]));
      standing.set(subject, new Set(now.keys()));
      for (const [id, finding] of now) if (!before?.has(id)) tell(finding);
      return false;
    },
  };
}
