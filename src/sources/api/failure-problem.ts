import type { IdentifiedProblem } from '../active-problems.ts';
import type { ApiFailure, ApiFailureReason } from './api-failure.ts';
import type { Resource } from './resources.ts';

/** Subject of problems that concern every resource alike; they are reported once. */
export const SERVER_SUBJECT = 'API server';

/** Whether a failure concerns every resource alike. */
export const isOfServer = (reason: ApiFailureReason): boolean => ['credentials', 'unreachable', 'unauthorized'].includes(reason);

/** Whether to report a failure at once. Other failures may be over at the next attempt, such as a watch that was cut. */
export const isWorthTelling = ({ reason }: ApiFailure): boolean =>
  ['credentials', 'unauthorized', 'forbidden', 'not_served'].includes(reason);

/** The report of a failure, and its subject. */
export function problemOf(
  { reason, message }: ApiFailure,
  { what, path, lack }: Resource,
  hasListed: boolean,
): { readonly subject: string; readonly finding: IdentifiedProblem } {
  const isLacking = lack !== undefined && !hasListed;
  const effect =
    isLacking && !isOfServer(reason) ? lack : hasListed ? 'The last known objects stay in force' : 'Nothing is served until that works';
  const said = isOfServer(reason) ? message : `Cannot follow ${what}: ${message}`;
  const advice = isLacking && reason === 'not_served' ? '' : (ADVICE[reason]?.(path.split('/').pop() ?? '') ?? '');
  const text = `${said}. ${advice}${effect}; trying again`;
  return { subject: isOfServer(reason) ? SERVER_SUBJECT : `follow ${what}`, finding: { id: text, reason: `api_${reason}`, message: text } };
}

const ADVICE: Partial<Record<ApiFailureReason, (resource: string) => string>> = {
  forbidden: (resource) => `Allow list and watch on ${resource} to the user that it names. `,
  not_served: () => 'Weir needs Kubernetes 1.30 or later. ',
};
