import type { Http2Session } from 'node:http2';

/** For the answer to a ping, and for the end of a connection that the other side has said goodbye on, ms. */
export const ANSWER_MS = 20_000;

/** Asks once whether the other side still lives; `late` is called if it has not answered in time. A session that is over is not asked. */
export function askForLife(session: Http2Session, late: () => void): void {
  if (session.destroyed) return;
  const timer = setTimeout(late, ANSWER_MS);
  if (!session.ping(() => clearTimeout(timer))) clearTimeout(timer);
}
