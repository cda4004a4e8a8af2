import type { SourceProblem } from './source.ts';

/** A problem, and what makes it the same one when it is found again although its wording moved on (a count). */
export interface IdentifiedProblem extends SourceProblem {
  readonly id: string;
}

/** The active problems by subject. Reports each once, and again if it comes back after it was solved. */
export interface ActiveProblems<F extends IdentifiedProblem = IdentifiedProblem> {
  /** All problems of one subject. Returns whether there were some before and are none now. */
  replace(subject: string, findings: readonly F[]): boolean;
}

/** `tell` gets each problem once. */
export function createActiveProblems<F extends IdentifiedProblem = IdentifiedProblem>(tell: (finding: F) => void): ActiveProblems<F> {
  const problems = new Map<string, ReadonlySet<string>>();
  return {
    replace(subject, findings) {
      const before = problems.get(subject);
      if (findings.length === 0) return problems.delete(subject);
      const now = new Map(findings.map((finding) => [finding.id, finding]));
      problems.set(subject, new Set(now.keys()));
      for (const [id, finding] of now) if (!before?.has(id)) tell(finding);
      return false;
    },
  };
}
