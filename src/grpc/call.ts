import { X509Certificate } from 'node:crypto';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { formatTarget, type Target } from '#lib/target.ts';
import { CallFailure, failureOfStatus, tlsReason } from './failure.ts';
import { createUnframer, frame } from './framing.ts';
import { ANSWER_MS, askForLife } from './keepalive.ts';

/** PEM texts of mutual TLS. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
  /** Whom to believe about the other side. */
  readonly ca: string;
}

export interface CallOptions {
  readonly target: Target;
  /** Undefined: plain text. */
  readonly tls: TlsPair | undefined;
  /** `/localv1.Sets/Watch`. */
  readonly method: string;
  /** Until there is a connection, TLS included, ms. */
  readonly connectMs: number;
}

export interface CallListener {
  /** Throws a CallFailure for what makes the rest of the stream worthless. */
  message(bytes: Buffer): void;
  /** Called once, not after `close`. */
  ended(failure: CallFailure): void;
}

/** A stream of messages in both directions. */
export interface Call {
  send(message: Uint8Array): void;
  /** Asks that often whether the other side still lives, ms. */
  askEvery(ms: number): void;
  close(): void;
}

/** As often as every gRPC server bears to be asked (grpc-go, keepalive.EnforcementPolicy: 5 minutes). */
const PATIENT_MS = 310_000;
/** For the reason of an end to arrive. */
const REASON_MS = 50;
/** Bytes that may be on their way: of a stream, of a connection. */
const WINDOW = 1 << 20;

/** Opens a stream to a gRPC server on a connection of its own. */
export function openCall({ target, tls, method, connectMs }: CallOptions, listener: CallListener): Call {
  const session = openSession(target, tls);
  let isOver = false;
  let asking: NodeJS.Timeout | undefined;

  const close = (): void => {
    isOver = true;
    clearTimeout(opening);
    clearInterval(asking);
    session.destroy();
  };
  const end = (failure: CallFailure): void => {
    if (isOver) return;
    close();
    listener.ended(failure);
  };
  const opening = setTimeout(() => end(new CallFailure('unreachable', `no connection within ${connectMs / 1000} s`)), connectMs);
  const late = (): void => end(new CallFailure('cut', `no sign of life within ${ANSWER_MS / 1000} s`));
  const askEvery = (ms: number): void => {
    clearInterval(asking);
    asking = setInterval(() => askForLife(session, late), ms);
  };

  let isConnected = false;
  const fail = (error: Error): void => end(new CallFailure(isConnected ? 'cut' : 'unreachable', describe(error)));
  session.on('error', fail);
  let hasAnswered = false;
  session.on('close', () => end(new CallFailure('cut', hasAnswered ? 'the connection was closed' : closedAtOnce(tls))));
  session.on('connect', () => {
    isConnected = true;
    clearTimeout(opening);
    session.setLocalWindowSize(WINDOW);
    askEvery(PATIENT_MS);
  });
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: method,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc+proto',
    [constants.HTTP2_HEADER_TE]: 'trailers',
    [constants.HTTP2_HEADER_USER_AGENT]: 'weir',
  });
  stream.on('error', fail);
  stream.once('response', () => {
    hasAnswered = true;
  });
  followStream(stream, session, listener, end);
  return { send: (message) => void (isOver || stream.write(frame(message))), askEvery, close };
}

function openSession(target: Target, tls: TlsPair | undefined): ClientHttp2Session {
  const settings = { initialWindowSize: WINDOW, enablePush: false };
  if (target.type === 'unix') return connect('http://localhost', { settings, createConnection: () => connectSocket(target.path) });
  const at = formatTarget(target.host === '' ? { ...target, host: 'localhost' } : target);
  return tls === undefined
    ? connect(`http://${at}`, { settings })
    : connect(`https://${at}`, { settings, ...tls, rejectUnauthorized: true });
}

function followStream(
  stream: ClientHttp2Stream,
  session: ClientHttp2Session,
  listener: CallListener,
  end: (failure: CallFailure) => void,
): void {
  const unframer = createUnframer((bytes) => {
    // What is over, because of an earlier message or by `close`, is not listened to
    if (!session.destroyed) listener.message(bytes);
  });
  const status = (headers: IncomingHttpHeaders): void => {
    const code = headers['grpc-status'];
    if (code !== undefined) end(failureOfStatus(String(code), String(headers['grpc-message'] ?? '')));
  };
  stream.on('response', (headers) => {
    status(headers);
    const type = headers['content-type'] ?? 'none';
    if (headers[':status'] !== 200 || !type.startsWith('application/grpc'))
      end(new CallFailure('garbled', `it is no gRPC server: HTTP status ${headers[':status']}, content type ${type}`));
  });
  stream.on('trailers', status);
  stream.on('data', (chunk: Buffer) => {
    try {
      unframer.push(chunk);
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error;
      end(error);
    }
  });
  // Why a connection ends may be known only after its streams have ended
  stream.on('close', () => {
    const message = unframer.begun > 0 ? 'the stream broke off inside a message' : 'the stream broke off';
    setTimeout(() => end(new CallFailure('cut', message)), REASON_MS);
  });
}

/** Some servers, ours among them, say nothing to those whom TLS does not let in. */
function closedAtOnce(tls: TlsPair | undefined): string {
  const closed = 'the connection was closed without an answer';
  if (tls === undefined) return `${closed}: does the server want TLS?`;
  const { subject, validTo } = new X509Certificate(tls.cert);
  return `${closed}: does the server take our certificate (${subject.replaceAll('\n', ', ')}, valid until ${validTo})?`;
}

const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'there is no such socket',
  EACCES: 'this process may not use that socket',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'its name is not known to DNS',
  ERR_HTTP2_ERROR: 'it does not speak HTTP/2 there',
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another name",
  CERT_HAS_EXPIRED: "the server's certificate has expired, or this node's clock is wrong",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is not signed by --tls-ca",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate is not signed by --tls-ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate is not signed by --tls-ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the server's certificate is not signed by --tls-ca",
  CERT_SIGNATURE_FAILURE: "the server's certificate is not signed by --tls-ca",
};

function describe(error: Error): string {
  const { code = '', cause } = error as NodeJS.ErrnoException;
  if (cause instanceof Error) return describe(cause);
  const tls = tlsReason(error.message);
  if (tls !== undefined) return `TLS failed: ${tls}`;
  const advice = ADVICE[code];
  return advice === undefined ? error.message : `${advice} (${code})`;
}
