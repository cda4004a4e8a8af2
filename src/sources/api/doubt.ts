import type { Finding } from '../standing.ts';
import type { Missing } from './holdings.ts';

/**
 * Whether a list may be a mistake of the server: it lacks more than half of what was there, or the first list is empty. That is how
 * an etcd looks that was restored from nothing. Every cluster has Services and EndpointSlices, its own to begin with.
 */
export const isDoubtful = ({ missing, before }: Missing, size: number): boolean => (before === 0 ? size === 0 : missing * 2 > before);

/** What is said of such a list. */
export function doubtFinding(what: string, { missing, before }: Missing, confirmMs: number): Finding {
  const some = missing === before ? `no longer lists ${what}` : `lists ${before - missing} of ${before} ${what} that were there`;
  const seen = before === 0 ? `has no ${what} at all` : some;
  const message = `The API server ${seen}: nothing is removed until another list confirms that in ${confirmMs / 1000} s`;
  return { id: message, reason: 'doubtful_list', message };
}
