import { lstatSync, unlinkSync } from 'node:fs';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatTarget, type Target } from '#lib/target.ts';
import type { TlsPair } from './call.ts';
import { STATUS, type Status, tlsReason } from './failure.ts';
import { createUnframer } from './framing.ts';
import { ANSWER_MS, askForLife } from './keepalive.ts';

/** A stream that a client has opened. */
export interface ServerCall {
  /** For messages: address of the client. */
  readonly peer: string;
  /** Of the client's certificate; undefined without TLS. */
  readonly certificate: { readonly commonName: string; readonly dnsNames: readonly string[] } | undefined;
  /** Framed messages. False: wait for `drained` before the next. */
  write(framed: Uint8Array): boolean;
  /** Ends the stream. */
  end(status: Status, message: string): void;
}

export interface ServerCallListener {
  /** Throws an Error for what is no such message: the call ends. */
  message(bytes: Buffer): void;
  drained(): void;
  /** The client is gone, or the call was ended. Called once. */
  closed(): void;
}

/** Methods by path such as `/localv1.Sets/Watch`. */
export type Methods = ReadonlyMap<string, (call: ServerCall) => ServerCallListener>;

export interface GrpcServer {
  /** Takes new certificates; open connections go on. */
  useTls(tls: TlsPair): void;
  /** Ends all calls. */
  close(): Promise<void>;
}

/** Bytes of a request; they are a name and a flag. */
const MAX_REQUEST = 64 << 10;

/** Characters of a path that are said back: what is longer would be too much for a header. */
const MAX_SHOWN = 200;

/** For a TLS handshake; who has not finished it then is not served. */
const HANDSHAKE_MS = 10_000;

/** Streams of one connection: each has a memory of what was sent. */
const MAX_STREAMS = 100;

/** How often a client is asked whether it still lives, ms. */
const ASK_MS = 60_000;

export interface GrpcServerOptions {
  readonly target: Target;
  /** Undefined: plain text; else only clients with a certificate of its authority are let in. */
  readonly tls: TlsPair | undefined;
  readonly methods: Methods;
  /** Told of clients that TLS does not let in: who, and why. */
  readonly refused: (peer: string, reason: string) => void;
}

/** Listens. Throws where it cannot. */
export async function serveGrpc({ target, tls, methods, refused }: GrpcServerOptions): Promise<GrpcServer> {
  const sockets = new Set<Socket>();
  const settings = { maxConcurrentStreams: MAX_STREAMS };
  const server =
    tls === undefined
      ? createServer({ settings })
      : createSecureServer({ ...tls, settings, requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    // Who goes by itself, as one that only looks whether the port is open, was not refused
    if (error.code !== 'ECONNRESET' || socket.authorizationError) refused(peerOf(socket), whyNotIn(error, socket));
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on(tls === undefined ? 'connection' : 'secureConnection', leaveInTime);
  server.on('session', (session: ServerHttp2Session) => {
    const asking = setInterval(() => askForLife(session, () => session.destroy()), ASK_MS);
    session.on('error', () => {});
    session.on('close', () => clearInterval(asking));
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => accept(stream, headers, methods));
  await listen(server, target);
  return {
    useTls: (pair) => (server as Http2SecureServer).setSecureContext(pair),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A client that has said goodbye may keep its half of the connection open. */
function leaveInTime(socket: Socket): void {
  socket.on('finish', () => {
    const late = setTimeout(() => socket.destroy(), ANSWER_MS);
    socket.on('close', () => clearTimeout(late));
  });
}

function accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, methods: Methods): void {
  stream.on('error', () => {});
  const open = methods.get(headers[':path'] ?? '');
  if (!headers['content-type']?.startsWith('application/grpc')) {
    stream.respond({ ':status': 415 }, { endStream: true });
    return;
  }
  if (open === undefined) {
    endAtOnce(stream, STATUS.unimplemented, `there is no method ${headers[':path']?.slice(0, MAX_SHOWN)}`);
    return;
  }
  const socket = stream.session?.socket as TLSSocket | undefined;
  const call: ServerCall = {
    peer: peerOf(socket),
    certificate: certificateOf(socket),
    write(framed) {
      if (stream.destroyed || stream.writableEnded) return false;
      if (!stream.headersSent) respond(stream);
      return stream.write(framed);
    },
    end(status, message) {
      if (stream.destroyed || stream.writableEnded) return;
      if (!stream.headersSent) endAtOnce(stream, status, message);
      else {
        stream.once('wantTrailers', () => stream.sendTrailers(statusHeaders(status, message)));
        stream.end();
      }
    },
  };
  const listener = open(call);
  const unframer = createUnframer((bytes) => listener.message(bytes), MAX_REQUEST);
  stream.on('data', (chunk: Buffer) => {
    try {
      unframer.push(chunk);
    } catch (error) {
      call.end(STATUS.invalidArgument, (error as Error).message);
    }
  });
  stream.on('drain', () => listener.drained());
  stream.on('close', () => listener.closed());
  // A client that has asked for the last time
  stream.on('end', () => call.end(STATUS.ok, ''));
}

const HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' };

const respond = (stream: ServerHttp2Stream): void => stream.respond(HEADERS, { waitForTrailers: true });

const statusHeaders = (status: number, message: string) => ({ 'grpc-status': String(status), 'grpc-message': encoded(message) });

/** All but printable ASCII as %XX (doc/PROTOCOL-HTTP2.md). */
const encoded = (message: string): string => message.replaceAll(/[^ -$&-~]+/g, (part) => encodeURIComponent(part));

function endAtOnce(stream: ServerHttp2Stream, status: number, message: string): void {
  stream.respond({ ...HEADERS, ...statusHeaders(status, message) }, { endStream: true });
}

function whyNotIn({ message }: Error, { authorizationError }: TLSSocket): string {
  // Types say Error, Node gives its code
  if (authorizationError) return `its certificate is not accepted: ${authorizationError}`;
  return tlsReason(message) ?? message;
}

const peerOf = (socket: TLSSocket | undefined): string => socket?.remoteAddress ?? 'a local client';

function certificateOf(socket: TLSSocket | undefined): ServerCall['certificate'] {
  const certificate = socket?.getPeerCertificate?.();
  if (certificate?.subject === undefined) return undefined;
  // Names with a comma stand in quotes: they are no names of nodes, but may hold what looks like one
  const names = certificate.subjectaltname?.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(', ') ?? [];
  const dnsNames = names.flatMap((name) => (name.startsWith('DNS:') && name !== 'DNS:' ? name.slice(4) : []));
  return { commonName: String(certificate.subject.CN ?? ''), dnsNames };
}

async function listen(server: Http2Server | Http2SecureServer, target: Target): Promise<void> {
  try {
    await listenOnce(server, target);
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const fail = (reason: string): never => {
      throw new Error(`Cannot listen at ${formatTarget(target)}: ${reason}`);
    };
    if (!isTaken) return fail((error as Error).message);
    if (target.type !== 'unix') return fail('another server listens there');
    if (!lstatSync(target.path).isSocket()) return fail('a file is there that is no socket');
    if (await isAnswered(target.path)) return fail('another server listens there');
    // What a server that was killed has left
    unlinkSync(target.path);
    await listenOnce(server, target);
  }
}

function listenOnce(server: Http2Server | Http2SecureServer, target: Target): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const done = (): void => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve();
    };
    if (target.type === 'unix') server.listen(target.path, done);
    else server.listen({ port: target.port, ...(target.host !== '' && { host: target.host }) }, done);
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'));
  });
}
