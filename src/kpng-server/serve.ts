import type { TlsPair } from '#grpc/call.ts';
import { STATUS, type Status } from '#grpc/failure.ts';
import { type GrpcServer, type ServerCall, type ServerCallListener, serveGrpc } from '#grpc/server.ts';
import { globalWatchReqCodec, watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import type { Target } from '#lib/target.ts';
import type { ModelObject } from '#model/objects.ts';
import type { Problem, Source } from '#sources/source.ts';
import { createBoard } from './board.ts';
import { Feed, type Progress } from './feed.ts';
import type { Viewer } from './items.ts';

export interface BrainOptions {
  readonly source: Source;
  readonly target: Target;
  /** Undefined: plain text. */
  readonly tls: TlsPair | undefined;
  /** A client is served as a node only if its certificate is that node's. */
  readonly verifyNodeNames: boolean;
  /** Told that there is work. */
  readonly busy: () => void;
  readonly log: {
    info(message: string): void;
    /** Somebody did what should not be; may be said very often. */
    refused(peer: string, reason: string): void;
    problem(problem: Problem): void;
    debug(message: string): void;
  };
}

/** Characters of the longest name that a Node can have (RFC 1123, as Kubernetes has it). */
const MAX_NAME = 253;

/** A server that is running. */
export interface Brain {
  useTls(tls: TlsPair): void;
  stop(): Promise<void>;
}

/** Serves what a source says to many nodes. Resolves when it listens; throws where it cannot. */
export async function startBrain(options: BrainOptions): Promise<Brain> {
  const { source, target, tls, log } = options;
  const board = createBoard();
  const feeds = new Set<Feed>();
  let progress: Progress = 'loading';
  /** It counts once everything that was said before has been told. */
  let reached: Progress = 'loading';
  let next: NodeJS.Immediate | undefined;

  const tell = (): void => {
    next = undefined;
    options.busy();
    progress = reached;
    if (progress === 'loading') return;
    const changed = board.takeChanged();
    for (const feed of feeds) feed.follow(changed);
    board.reuse((number) => [...feeds].some((feed) => feed.has(number)));
  };
  const wake = (): void => {
    next ??= setImmediate(tell);
  };
  const reach = (now: Progress): void => {
    if (reached === 'loading') {
      const { services, endpoints } = board.counts();
      log.info(`Ready: ${services} Services, ${endpoints} endpoints`);
    }
    reached = now;
    wake();
  };

  const open = (call: ServerCall, read: (bytes: Buffer) => Viewer): ServerCallListener => {
    const feed = new Feed({ call, board, progress: () => progress });
    feeds.add(feed);
    return {
      message: (bytes) => ask(call, feed, read(bytes), options),
      drained: () => feed.drained(),
      closed() {
        feed.close();
        feeds.delete(feed);
        log.debug(`${call.peer} has gone, ${feeds.size} clients are left`);
      },
    };
  };
  const server: GrpcServer = await serveGrpc({
    ...{ target, tls, refused: log.refused },
    methods: new Map([
      [METHODS.local, (call) => open(call, (bytes) => localViewer(bytes, board.zoneOf))],
      [METHODS.global, (call) => open(call, (bytes) => ({ stream: 'global', extended: globalWatchReqCodec.decode(bytes).Extended }))],
    ]),
  });
  const set = (object: ModelObject): void => {
    board.set(object);
    wake();
  };
  source.start({
    set,
    recall: set,
    remove(kind, key) {
      board.remove(kind, key);
      wake();
    },
    missed() {},
    synced: () => reach('incomplete'),
    complete: () => reach('complete'),
    problem: log.problem,
  });
  return {
    useTls: server.useTls,
    async stop() {
      await source.stop();
      clearImmediate(next);
      await server.close();
    },
  };
}

function localViewer(bytes: Buffer, zoneOf: (nodeName: string) => string): Viewer {
  const { NodeName: nodeName, Extended: extended } = watchReqCodec.decode(bytes);
  return { stream: 'local', nodeName, zone: zoneOf(nodeName), extended };
}

function ask(call: ServerCall, feed: Feed, viewer: Viewer, { verifyNodeNames, busy, log }: BrainOptions): void {
  const refusal = reasonToRefuse(call, feed.viewer, viewer, verifyNodeNames);
  if (refusal !== undefined) {
    log.refused(call.peer, refusal.reason);
    call.end(refusal.status, refusal.reason);
    return;
  }
  const what = viewer.stream === 'local' ? `node ${viewer.nodeName}` : 'the cluster';
  if (feed.viewer === undefined) log.debug(`${call.peer} follows ${what}`);
  busy();
  feed.ask(viewer);
}

function reasonToRefuse(
  { certificate }: ServerCall,
  before: Viewer | undefined,
  viewer: Viewer,
  verifyNodeNames: boolean,
): { readonly status: Status; readonly reason: string } | undefined {
  if (viewer.stream !== 'local') return undefined;
  const { nodeName } = viewer;
  const invalid = (reason: string) => ({ status: STATUS.invalidArgument, reason });
  if (nodeName === '') return invalid('NodeName is empty, must be the name of the node');
  if (nodeName.length > MAX_NAME) return invalid(`NodeName has ${nodeName.length} characters, must have at most ${MAX_NAME}`);
  if (before?.stream === 'local' && before.nodeName !== nodeName)
    return invalid(`NodeName is ${nodeName}, must be ${before.nodeName} as before on this stream`);
  if (!verifyNodeNames || isCarried(nodeName, certificate)) return undefined;
  return { status: STATUS.permissionDenied, reason: `the certificate is ${describe(certificate)}, must be that of node ${nodeName}` };
}

/** As a kubelet's certificate names its node (KEP-279, system:node:NAME), or by a DNS name. */
const isCarried = (nodeName: string, certificate: ServerCall['certificate']): boolean =>
  certificate !== undefined && (certificate.commonName === `system:node:${nodeName}` || certificate.dnsNames.includes(nodeName));

const describe = (certificate: ServerCall['certificate']): string =>
  certificate === undefined ? 'missing' : `of ${[certificate.commonName, ...certificate.dnsNames].join(', ')}`;
