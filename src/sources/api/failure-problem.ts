import type { IdentifiedProblem } from '../active-problems.ts';
import type { ApiFailure, ApiFailureReason } from './api-failure.ts';
import type { Resource } from './resources.ts';

/** Subject of problems that concern every resource alike; they are reported once. */
export const SERVER_SUBJECT = 'API server';

/** It is the same for every resource. */
export const isOfServer = (reason: ApiFailureReason): boolean => ['credentials', 'unreachable', 'unauthorized'].includes(reason);

/** Others may be over with the next try, a watch that was cut for example. */
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
    isLacking && !isOfServer(reason) ? lack : hasListed ? 'What it said before stays in force' : 'Nothing is served before that works';
  const said = isOfServer(reason) ? message : `Cannot follow ${what}: ${message}`;
  const advice = isLacking && reason === 'not_served' ? '' : (ADVICE[reason]?.(path.split('/').pop() ?? '') ?? '');
  const text = `${said}. ${advice}${effect}; trying again`;
  return { subject: isOfServer(reason) ? SERVER_SUBJECT : `follow ${what}`, finding: { id: text, reason: `api_${reason}`, message: text } };
}

const ADVICE: Partial<Record<ApiFailureReason, (resource: string) => string>> = {
  forbidden: (resource) => `Allow list and watch on ${resource} to the user that it names. `,
  not_served: () => 'Weir needs Kubernetes 1.30 or later. ',
};
