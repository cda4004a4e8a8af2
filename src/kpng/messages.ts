import protobuf from 'protobufjs/light.js';
import { DESCRIPTORS } from './descriptors.ts';

/* The decoded messages, and a codec for each. A field that was not sent has its default, a message that was not sent is null. */

export interface IPSet {
  readonly V4: readonly string[];
  readonly V6: readonly string[];
}

/** Values of enum Protocol. */
export const PROTOCOLS = { TCP: 1, UDP: 2, SCTP: 3 } as const;

export interface PortMapping {
  readonly Name: string;
  readonly Protocol: number;
  readonly Port: number;
  readonly NodePort: number;
  readonly TargetPort: number;
  readonly TargetPortName: string;
}

export interface ServiceMessage {
  readonly Namespace: string;
  readonly Name: string;
  readonly Type: string;
  readonly IPs: {
    readonly ClusterIPs: IPSet | null;
    readonly ExternalIPs: IPSet | null;
    readonly Headless: boolean;
    readonly LoadBalancerIPs: IPSet | null;
  } | null;
  readonly MapIP: boolean;
  readonly Ports: readonly PortMapping[];
  readonly ExternalTrafficToLocal: boolean;
  readonly Labels: Readonly<Record<string, string>>;
  readonly IPFilters: readonly { readonly TargetIPs: IPSet | null; readonly SourceRanges: readonly string[] }[];
  readonly ClientIP: { readonly TimeoutSeconds: number } | null;
  readonly InternalTrafficToLocal: boolean;
  readonly HealthCheckNodePort: number;
  readonly CreatedAt: string;
}

export interface PortName {
  readonly Name: string;
  readonly Port: number;
  /** 0 = not sent. */
  readonly Protocol: number;
}

export interface EndpointFacts {
  readonly Slice: string;
  readonly Ready: boolean;
  readonly Serving: boolean;
  readonly Terminating: boolean;
  readonly Node: string;
  readonly HintZones: readonly string[];
  readonly HintNodes: readonly string[];
  readonly Pod: string;
}

export interface EndpointMessage {
  readonly IPs: IPSet | null;
  readonly Local: boolean;
  readonly PortOverrides: readonly PortName[];
  readonly Scopes: { readonly Internal: boolean; readonly External: boolean } | null;
  /** Null: the peer does not send weir's extensions. */
  readonly Facts: EndpointFacts | null;
}

export interface ServiceInfo {
  readonly Service: ServiceMessage | null;
}

export interface EndpointInfo {
  readonly Namespace: string;
  readonly SourceName: string;
  readonly ServiceName: string;
  readonly Endpoint: EndpointMessage | null;
  readonly Conditions: { readonly Ready: boolean } | null;
  readonly PodName: string;
  readonly Topology: { readonly Node: string; readonly Zone: string } | null;
  readonly Hints: { readonly Zones: readonly string[] } | null;
}

export interface NodeInfo {
  readonly Node: {
    readonly Name: string;
    readonly Topology: { readonly Zone: string } | null;
    readonly Facts: { readonly Addresses: readonly string[]; readonly PodCIDRs: readonly string[]; readonly Leaving: boolean } | null;
  } | null;
}

export interface ServiceCIDRMessage {
  readonly Name: string;
  readonly CIDRs: readonly string[];
}

export interface Ref {
  readonly Set: number;
  readonly Path: string;
}

export interface EmptyOp {
  readonly Extended: boolean;
  readonly Incomplete: boolean;
}

export interface OpItem {
  /** Which of the four was sent; undefined = an unknown operation. */
  readonly Op: 'Sync' | 'Set' | 'Delete' | 'Reset' | undefined;
  readonly Sync: EmptyOp | null;
  readonly Set: { readonly Ref: Ref | null; readonly Bytes: Uint8Array } | null;
  readonly Delete: Ref | null;
  readonly Reset: EmptyOp | null;
  readonly TriggeredAt: { toNumber(): number } | number;
}

export interface WatchReq {
  readonly NodeName: string;
  readonly Extended: boolean;
}

/** Input of `encode`: omitted and null fields have their defaults. */
export type Partially<T> = T extends readonly (infer Item)[]
  ? readonly Partially<Item>[]
  : T extends Uint8Array
    ? T
    : T extends object
      ? { readonly [Key in keyof T]?: Partially<T[Key]> | undefined }
      : T;

/** Encodes and decodes one message type. */
export interface MessageCodec<T> {
  encode(message: Partially<T>): Uint8Array;
  /** Skips unknown fields. Throws an Error if the bytes are not such a message. */
  decode(bytes: Uint8Array): T;
}

const root = protobuf.Root.fromJSON(DESCRIPTORS);

function codecOf<T>(name: string): MessageCodec<T> {
  const type = root.lookupType(name);
  return {
    encode: (message) => type.encode(message as Record<string, unknown>).finish(),
    decode: (bytes) => type.decode(bytes) as unknown as T,
  };
}

export const opItemCodec = codecOf<OpItem>('localv1.OpItem');
export const watchReqCodec = codecOf<WatchReq>('localv1.WatchReq');
export const globalWatchReqCodec = codecOf<Pick<WatchReq, 'Extended'>>('globalv1.GlobalWatchReq');
export const serviceCodec = codecOf<ServiceMessage>('localv1.Service');
export const endpointCodec = codecOf<EndpointMessage>('localv1.Endpoint');
export const serviceCIDRCodec = codecOf<ServiceCIDRMessage>('localv1.ServiceCIDR');
export const serviceInfoCodec = codecOf<ServiceInfo & { readonly Hash: number }>('globalv1.ServiceInfo');
export const endpointInfoCodec = codecOf<EndpointInfo & { readonly Hash: number }>('globalv1.EndpointInfo');
export const nodeInfoCodec = codecOf<NodeInfo & { readonly Hash: number }>('globalv1.NodeInfo');
