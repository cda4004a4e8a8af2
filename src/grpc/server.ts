/** The server side of gRPC: listens, checks certificates, and opens a ServerCall per stream. */
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
import { formatTarget, type GrpcTarget } from '#lib/target.ts';
import type { TlsPair } from './call.ts';
import { STATUS, type Status, tlsReason } from './failure.ts';
import { createUnframer } from './framing.ts';
import { PING_TIMEOUT_MS, ping } from './keepalive.ts';

/** A stream that a client has opened. */
export interface ServerCall {
  /** Address of the client, for log messages. */
  readonly peer: string;
  /** Names of the client's certificate; undefined without TLS. */
  readonly certificate: { readonly commonName: string; readonly dnsNames: readonly string[] } | undefined;
  /** Writes framed messages. False: wait for `drained` before the next write. */
  write(framed: Uint8Array): boolean;
  /** Ends the stream. */
  end(status: Status, message: string): void;
}

export interface ServerCallListener {
  /** May throw an Error for an invalid message: the call ends with status invalidArgument. */
  message(bytes: Buffer): void;
  drained(): void;
  /** The client has disconnected, or the call has ended. Called once. */
  closed(): void;
}

/** Methods by path, for example `/localv1.Sets/Watch`. */
export type Methods = ReadonlyMap<string, (call: ServerCall) => ServerCallListener>;

export interface GrpcServer {
  /** Uses new certificates for new connections; open connections stay. */
  useTls(tls: TlsPair): void;
  /** Closes all connections. */
  close(): Promise<void>;
}

/** Limit of a request, bytes: it holds a name and a flag. */
const MAX_REQUEST = 64 << 10;

/** Characters of an unknown path in the answer: a header has limited room. */
const MAX_SHOWN_PATH = 200;

/** Timeout of a TLS handshake, ms. */
const HANDSHAKE_MS = 10_000;

/** Limit of streams per connection: each costs memory. */
const MAX_STREAMS = 100;

/** Interval of keepalive pings, ms. */
const PING_MS = 60_000;

export interface GrpcServerOptions {
  readonly target: GrpcTarget;
  /** Undefined: plain text. Otherwise only clients with a certificate of its authority are accepted. */
  readonly tls: TlsPair | undefined;
  readonly methods: Methods;
  /** Called for each client that TLS refuses, with its address and the reason. */
  readonly refused: (peer: string, reason: string) => void;
}

/** Starts to listen. Throws if it cannot. */
export async function serveGrpc({ target, tls, methods, refused }: GrpcServerOptions): Promise<GrpcServer> {
  const sockets = new Set<Socket>();
  const settings = { maxConcurrentStreams: MAX_STREAMS };
  const server =
    tls === undefined
      ? createServer({ settings })
      : createSecureServer({ ...tls, settings, requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    // A client that disconnects by itself, such as a port probe, is not refused
    if (error.code !== 'ECONNRESET' || socket.authorizationError) refused(peerOf(socket), refusalReason(error, socket));
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on(tls === undefined ? 'connection' : 'secureConnection', destroyHalfOpen);
  server.on('session', (session: ServerHttp2Session) => {
    const pinging = setInterval(() => ping(session, () => session.destroy()), PING_MS);
    session.on('error', () => {});
    session.on('close', () => clearInterval(pinging));
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

/** Destroys a connection that the client leaves half-open after GOAWAY. */
function destroyHalfOpen(socket: Socket): void {
  socket.on('finish', () => {
    const late = setTimeout(() => socket.destroy(), PING_TIMEOUT_MS);
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
    endAtOnce(stream, STATUS.unimplemented, `unknown method ${headers[':path']?.slice(0, MAX_SHOWN_PATH)}`);
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
  // The client has sent its last request
  stream.on('end', () => call.end(STATUS.ok, ''));
}

const HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' };

const respond = (stream: ServerHttp2Stream): void => stream.respond(HEADERS, { waitForTrailers: true });

const statusHeaders = (status: number, message: string) => ({ 'grpc-status': String(status), 'grpc-message': encoded(message) });

/** Percent-encodes everything but printable ASCII (doc/PROTOCOL-HTTP2.md). */
const encoded = (message: string): string => message.replaceAll(/[^ -$&-~]+/g, (part) => encodeURIComponent(part));

function endAtOnce(stream: ServerHttp2Stream, status: number, message: string): void {
  stream.respond({ ...HEADERS, ...statusHeaders(status, message) }, { endStream: true });
}

function refusalReason({ message }: Error, { authorizationError }: TLSSocket): string {
  // Declared as Error; at run time it is the error's code
  if (authorizationError) return `its certificate is not accepted: ${authorizationError}`;
  return tlsReason(message) ?? message;
}

const peerOf = (socket: TLSSocket | undefined): string => socket?.remoteAddress ?? 'a local client';

function certificateOf(socket: TLSSocket | undefined): ServerCall['certificate'] {
  const certificate = socket?.getPeerCertificate?.();
  if (certificate?.subject === undefined) return undefined;
  // Names with a comma are quoted. They cannot be node names, but may contain text that looks like one
  const names = certificate.subjectaltname?.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(', ') ?? [];
  const dnsNames = names.flatMap((name) => (name.startsWith('DNS:') && name !== 'DNS:' ? name.slice(4) : []));
  return { commonName: String(certificate.subject.CN ?? ''), dnsNames };
}

async function listen(server: Http2Server | Http2SecureServer, target: GrpcTarget): Promise<void> {
  try {
    await listenOnce(server, target);
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const fail = (reason: string): never => {
      throw new Error(`Cannot listen at ${formatTarget(target)}: ${reason}`);
    };
    if (!isTaken) return fail((error as Error).message);
    if (target.type !== 'unix') return fail('another server listens there');
    if (!lstatSync(target.path).isSocket()) return fail('a file that is not a socket is there');
    if (await isAnswered(target.path)) return fail('another server listens there');
    // A killed server has left the socket
    unlinkSync(target.path);
    await listenOnce(server, target);
  }
}

function listenOnce(server: Http2Server | Http2SecureServer, target: GrpcTarget): Promise<void> {
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
