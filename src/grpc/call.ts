/** The client side of gRPC: one stream on one HTTP/2 connection. */
import { X509Certificate } from 'node:crypto';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { formatTarget, type GrpcTarget } from '#lib/target.ts';
import { CallFailure, failureOfStatus, tlsReason } from './failure.ts';
import { createUnframer, frame } from './framing.ts';
import { PING_TIMEOUT_MS, ping } from './keepalive.ts';

/** Certificate, key and authority of mutual TLS, as PEM text. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
  /** The authority that signs the peer's certificate. */
  readonly ca: string;
}

export interface CallOptions {
  readonly target: GrpcTarget;
  /** Undefined: plain text. */
  readonly tls: TlsPair | undefined;
  /** Path, for example `/localv1.Sets/Watch`. */
  readonly method: string;
  /** Timeout until the connection is established, TLS included, ms. */
  readonly connectMs: number;
}

export interface CallListener {
  /** May throw a CallFailure: it ends the stream. */
  message(bytes: Buffer): void;
  /** The stream has ended. Called once; not after `close`. */
  ended(failure: CallFailure): void;
}

/** A stream of messages in both directions. */
export interface Call {
  send(message: Uint8Array): void;
  /** Sets the interval of keepalive pings, ms. */
  pingEvery(ms: number): void;
  close(): void;
}

/** Ping interval that every gRPC server permits (grpc-go, keepalive.EnforcementPolicy: 5 minutes). */
const PING_MS = 310_000;
/** Delay before a closed stream is reported: the reason may arrive after it, ms. */
const REASON_MS = 50;
/** Flow-control window of the stream and of the connection, bytes. */
const WINDOW = 1 << 20;

/** Opens a connection to a gRPC server and one stream on it. */
export function openCall({ target, tls, method, connectMs }: CallOptions, listener: CallListener): Call {
  const session = openSession(target, tls);
  let isOver = false;
  let pinging: NodeJS.Timeout | undefined;

  const close = (): void => {
    isOver = true;
    clearTimeout(opening);
    clearInterval(pinging);
    session.destroy();
  };
  const end = (failure: CallFailure): void => {
    if (isOver) return;
    close();
    listener.ended(failure);
  };
  const opening = setTimeout(() => end(new CallFailure('unreachable', `no connection within ${connectMs / 1000} s`)), connectMs);
  const late = (): void => end(new CallFailure('cut', `no answer to a ping within ${PING_TIMEOUT_MS / 1000} s`));
  const pingEvery = (ms: number): void => {
    clearInterval(pinging);
    pinging = setInterval(() => ping(session, late), ms);
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
    pingEvery(PING_MS);
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
  return { send: (message) => void (isOver || stream.write(frame(message))), pingEvery, close };
}

function openSession(target: GrpcTarget, tls: TlsPair | undefined): ClientHttp2Session {
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
    // An earlier message or `close` may have ended the call
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
      end(new CallFailure('garbled', `it is not a gRPC server: HTTP status ${headers[':status']}, content type ${type}`));
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
  // The session may report why the connection ends after its streams have closed
  stream.on('close', () => {
    const message = unframer.begun > 0 ? 'the stream was cut inside a message' : 'the stream was cut';
    setTimeout(() => end(new CallFailure('cut', message)), REASON_MS);
  });
}

/** Advice for a connection closed without an answer: some servers, weir's too, refuse a client's certificate that way. */
function closedAtOnce(tls: TlsPair | undefined): string {
  const closed = 'the connection was closed without an answer';
  if (tls === undefined) return `${closed}: does the server require TLS?`;
  const { subject, validTo } = new X509Certificate(tls.cert);
  return `${closed}: does the server accept our certificate (${subject.replaceAll('\n', ', ')}, valid until ${validTo})?`;
}

const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'the socket does not exist',
  EACCES: 'permission to use the socket is denied',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'DNS does not know its name',
  ERR_HTTP2_ERROR: 'the server does not speak HTTP/2',
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
