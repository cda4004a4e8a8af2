/** Status codes and failures of gRPC. The codes are from grpc/grpc, doc/statuscodes.md. */
export const STATUS = {
  ok: 0,
  invalidArgument: 3,
  permissionDenied: 7,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

/** Why a call failed: no connection, a status from the server, a lost connection, or bytes that break the protocol. */
export type GrpcFailureReason = 'unreachable' | 'refused' | 'cut' | 'garbled';

/** The end of a call. The message gives the reason, without the peer's address. */
export class CallFailure extends Error {
  readonly reason: GrpcFailureReason;

  constructor(reason: GrpcFailureReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The reason inside an OpenSSL error message; undefined for other messages. */
export const tlsReason = (message: string): string | undefined => /(?:SSL routines:[^:]*:|alert )([^:]+?)(?::|$)/.exec(message)?.[1];

const NAMES: Readonly<Record<number, string>> = {
  [STATUS.invalidArgument]: 'invalid argument',
  [STATUS.permissionDenied]: 'permission denied',
  [STATUS.unimplemented]: 'the server does not serve this method',
  [STATUS.unavailable]: 'unavailable',
  [STATUS.unauthenticated]: 'unauthenticated',
};

/** The failure for a stream's final status; `message` is percent-encoded, as in the header grpc-message. */
export function failureOfStatus(status: string, message: string): CallFailure {
  if (status === String(STATUS.ok)) return new CallFailure('cut', 'the server ended the stream');
  return new CallFailure('refused', `${NAMES[Number(status)] ?? `status ${status}`}${message === '' ? '' : `: ${decode(message)}`}`);
}

function decode(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
