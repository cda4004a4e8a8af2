import { clip, isFields } from '#model/fields.ts';

/**
 * Why an API server could not be used; metric label. `gone`: it has forgotten that resource version. `exists`: an object
 * of that name exists. `cut`: the answer broke off. `garbled`: the answer cannot be decoded.
 */
export type ApiFailureReason =
  | 'credentials'
  | 'unreachable'
  | 'unauthorized'
  | 'forbidden'
  | 'not_served'
  | 'unsupported'
  | 'gone'
  | 'exists'
  | 'refused'
  | 'cut'
  | 'garbled';

/** One request that failed. The message is a whole sentence. */
export class ApiFailure extends Error {
  readonly reason: ApiFailureReason;
  /** What the server asked to wait, ms; 0 = nothing. */
  readonly waitMs: number;

  constructor(reason: ApiFailureReason, message: string, waitMs = 0) {
    super(message);
    this.reason = reason;
    this.waitMs = waitMs;
  }
}

const BY_STATUS: Readonly<Record<number, ApiFailureReason>> = {
  400: 'unsupported',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_served',
  409: 'exists',
  410: 'gone',
  422: 'unsupported',
};

/** What an HTTP status, or that of a Status object, means. */
export const reasonOf = (status: number): ApiFailureReason => BY_STATUS[status] ?? 'refused';

const MAX_SHOWN = 300;

/** The message of a Status object, or of another body of a refusal. */
export function messageOf(body: string): string {
  try {
    const status: unknown = JSON.parse(body);
    if (isFields(status) && typeof status.message === 'string') return clip(status.message, MAX_SHOWN);
  } catch {}
  return clip(body.trim().split('\n')[0] ?? '', MAX_SHOWN);
}

/** Why no answer came, with what to look at, of an error of Node's network or TLS. */
export function describeConnectionError(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const tls = /SSL routines:[^:]*:([^:]+):/.exec(message)?.[1];
  if (tls !== undefined) return tls === 'wrong version number' ? NO_TLS : `TLS failed: ${tls}`;
  const advice = ADVICE[code];
  return advice === undefined ? message : `${advice} (${code})`;
}

const NO_TLS = 'it does not speak TLS there: is the address right, and https';

const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'its name is not known to DNS',
  EAI_AGAIN: 'DNS does not answer',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'it does not answer',
  CERT_HAS_EXPIRED: "the server's certificate has expired, or this node's clock is wrong",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet, or this node's clock is wrong",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is signed by itself: give it as certificate-authority",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate is not signed by the certificate-authority that was given",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate is not signed by the certificate-authority that was given",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the server's certificate is not signed by the certificate-authority that was given",
  CERT_SIGNATURE_FAILURE: "the server's certificate is not signed by the certificate-authority that was given",
  HPE_INVALID_CONSTANT: 'it does not speak HTTP there: is the address right, and http',
};
