/** Keepalive pings. */
import type { Http2Session } from 'node:http2';

/** Timeout for the answer to a ping, and for the close of a connection that the peer has half-closed, ms. */
export const PING_TIMEOUT_MS = 20_000;

/** Pings the peer once; `late` is called if it does not answer in time. Does nothing on a destroyed session. */
export function ping(session: Http2Session, late: () => void): void {
  if (session.destroyed) return;
  const timer = setTimeout(late, PING_TIMEOUT_MS);
  if (!session.ping(() => clearTimeout(timer))) clearTimeout(timer);
}
