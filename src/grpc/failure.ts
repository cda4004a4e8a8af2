/** gRPC's status codes that are used here (grpc/grpc, doc/statuscodes.md). */
export const STATUS = {
  ok: 0,
  invalidArgument: 3,
  permissionDenied: 7,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

/** What a call that failed came to grief on: the way there, what the server answered, or what it sent. */
export type GrpcFailureReason = 'unreachable' | 'refused' | 'cut' | 'garbled';

/** A call that is over. The message says why, without who the other side is. */
export class CallFailure extends Error {
  readonly reason: GrpcFailureReason;

  constructor(reason: GrpcFailureReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What OpenSSL says in the middle of its messages; undefined for those of others. */
export const tlsReason = (message: string): string | undefined => /(?:SSL routines:[^:]*:|alert )([^:]+?)(?::|$)/.exec(message)?.[1];

const NAMES: Readonly<Record<number, string>> = {
  [STATUS.invalidArgument]: 'invalid argument',
  [STATUS.permissionDenied]: 'permission denied',
  [STATUS.unimplemented]: 'it does not serve this',
  [STATUS.unavailable]: 'unavailable',
  [STATUS.unauthenticated]: 'unauthenticated',
};

/** What a server said at the end of a stream, `message` percent-encoded as in the header grpc-message. */
export function failureOfStatus(status: string, message: string): CallFailure {
  if (status === String(STATUS.ok)) return new CallFailure('cut', 'it ended the stream');
  return new CallFailure('refused', `${NAMES[Number(status)] ?? `status ${status}`}${message === '' ? '' : `: ${decode(message)}`}`);
}

function decode(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
