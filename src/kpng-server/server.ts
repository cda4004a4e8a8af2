/**
 * `weir kpng-server`: serves the objects of one source to many nodes. A change takes this way to the wire:
 *
 *     source -> Publisher -> ItemStore       rebuilds the Item that the object belongs to       publisher.ts, item-store.ts, items.ts
 *            -> Subscription                 notes the numbers of changed items, per client     subscription.ts
 *            -> Item.view(subscriber)        selects the operations that the client needs       items.ts, select-for-node.ts
 *            -> framesBetween(old, new view) encodes the difference                             view-diff.ts
 *            -> ServerCall.write             writes it, in the order of KPNG's phases           subscription.ts
 *
 * This file opens the gRPC methods and validates requests.
 */
import type { TlsPair } from '#grpc/call.ts';
import { STATUS, type Status } from '#grpc/failure.ts';
import { type GrpcServer, type ServerCall, type ServerCallListener, serveGrpc } from '#grpc/server.ts';
import { globalWatchReqCodec, watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import type { GrpcTarget } from '#lib/target.ts';
import type { Source } from '#sources/source.ts';
import type { Subscriber } from './items.ts';
import { Publisher, type PublisherParts } from './publisher.ts';
import type { Subscription } from './subscription.ts';

export interface KpngServerOptions {
  readonly source: Source;
  readonly target: GrpcTarget;
  /** Undefined: plain text. */
  readonly tls: TlsPair | undefined;
  /** Serve a client as a node only if its certificate names that node. */
  readonly verifyNodeNames: boolean;
  /** Called before each notification and request. */
  readonly busy: () => void;
  readonly log: PublisherParts['log'] & {
    /** Reports a refused client; may be called very often. */
    refused(peer: string, reason: string): void;
    debug(message: string): void;
  };
}

/** Limit of a Node's name, characters (RFC 1123, as Kubernetes applies it). */
const MAX_NAME = 253;

/** A running server. */
export interface KpngServer {
  useTls(tls: TlsPair): void;
  stop(): Promise<void>;
}

/** Serves a source's objects to many nodes. Resolves when the server listens; throws if it cannot. */
export async function startKpngServer(options: KpngServerOptions): Promise<KpngServer> {
  const { source, target, tls, log } = options;
  const publisher = new Publisher(options);
  const open = (call: ServerCall, read: (bytes: Buffer) => Subscriber): ServerCallListener => {
    const subscription = publisher.subscribe(call);
    return {
      message: (bytes) => acceptRequest(call, subscription, read(bytes), options),
      drained: () => subscription.drained(),
      closed() {
        publisher.unsubscribe(subscription);
        log.debug(`${call.peer} disconnected; ${publisher.size} clients remain`);
      },
    };
  };
  const server: GrpcServer = await serveGrpc({
    ...{ target, tls, refused: log.refused },
    methods: new Map([
      [METHODS.local, (call) => open(call, (bytes) => localSubscriber(bytes, publisher.store.zoneOf))],
      [METHODS.global, (call) => open(call, (bytes) => ({ stream: 'global', extended: globalWatchReqCodec.decode(bytes).Extended }))],
    ]),
  });
  source.start(publisher.sink());
  return {
    useTls: server.useTls,
    async stop() {
      await source.stop();
      publisher.stop();
      await server.close();
    },
  };
}

function localSubscriber(bytes: Buffer, zoneOf: (nodeName: string) => string): Subscriber {
  const { NodeName: nodeName, Extended: extended } = watchReqCodec.decode(bytes);
  return { stream: 'local', nodeName, zone: zoneOf(nodeName), extended };
}

function acceptRequest(
  call: ServerCall,
  subscription: Subscription,
  subscriber: Subscriber,
  { verifyNodeNames, busy, log }: KpngServerOptions,
): void {
  const refusal = reasonToRefuse(call, subscription.subscriber, subscriber, verifyNodeNames);
  if (refusal !== undefined) {
    log.refused(call.peer, refusal.reason);
    call.end(refusal.status, refusal.reason);
    return;
  }
  const scope = subscriber.stream === 'local' ? `node ${subscriber.nodeName}` : 'the cluster';
  if (subscription.subscriber === undefined) log.debug(`${call.peer} follows ${scope}`);
  busy();
  subscription.request(subscriber);
}

function reasonToRefuse(
  { certificate }: ServerCall,
  before: Subscriber | undefined,
  subscriber: Subscriber,
  verifyNodeNames: boolean,
): { readonly status: Status; readonly reason: string } | undefined {
  if (subscriber.stream !== 'local') return undefined;
  const { nodeName } = subscriber;
  const invalid = (reason: string) => ({ status: STATUS.invalidArgument, reason });
  if (nodeName === '') return invalid('NodeName is empty, must be the name of the node');
  if (nodeName.length > MAX_NAME) return invalid(`NodeName has ${nodeName.length} characters, must have at most ${MAX_NAME}`);
  if (before?.stream === 'local' && before.nodeName !== nodeName)
    return invalid(`NodeName is ${nodeName}, must be ${before.nodeName}, as in the first request of the stream`);
  if (!verifyNodeNames || namesNode(certificate, nodeName)) return undefined;
  return { status: STATUS.permissionDenied, reason: `the certificate ${describe(certificate)}, must name node ${nodeName}` };
}

/** Whether a certificate names the node, as a kubelet's certificate does (KEP-279, system:node:NAME), or by a DNS name. */
const namesNode = (certificate: ServerCall['certificate'], nodeName: string): boolean =>
  certificate !== undefined && (certificate.commonName === `system:node:${nodeName}` || certificate.dnsNames.includes(nodeName));

const describe = (certificate: ServerCall['certificate']): string =>
  certificate === undefined ? 'is missing' : `names ${[certificate.commonName, ...certificate.dnsNames].join(', ')}`;
