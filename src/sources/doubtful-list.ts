import type { IdentifiedProblem } from './active-problems.ts';

/** How many objects a list lacked that were there before. */
export interface Missing {
  readonly missing: number;
  readonly before: number;
}

/**
 * Whether a list may be a mistake of the server: it lacks more than half of the earlier objects, or the first list is empty, as after
 * etcd was restored empty. Every cluster has Services and EndpointSlices, its own to begin with.
 */
export const isDoubtful = ({ missing, before }: Missing, size: number): boolean => (before === 0 ? size === 0 : missing * 2 > before);

/** The report of such a list of `who`, for example `API server`. */
export function doubtfulListProblem(who: string, what: string, { missing, before }: Missing, confirmMs: number): IdentifiedProblem {
  const some = missing === before ? `no longer lists ${what}` : `lists ${before - missing} of ${before} ${what} that were there`;
  const seen = before === 0 ? `has no ${what} at all` : some;
  const message = `The ${who} ${seen}: nothing is removed until a second list confirms that in ${confirmMs / 1000} s`;
  return { id: message, reason: 'doubtful_list', message };
}
