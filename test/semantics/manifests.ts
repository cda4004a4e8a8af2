/** The objects of a scenario as Kubernetes objects of both families. */
import type { Fields } from '#model/fields.ts';
import { PLACES, placeOf, podCidr, twin } from './world.ts';

/** Objects of the scenario file, by name. */
export interface Written {
  /** `zone`, `addresses` (IPv4), `labels`. */
  readonly nodes: ReadonlyMap<string, Fields>;
  /** `labels`, `annotations`, `created`, `spec`, `status`, `endpoints`. */
  readonly services: ReadonlyMap<string, Fields>;
  /** EndpointSlices; `service` and `labels` may replace metadata, addressType defaults to IPv4, endpoints may be in shorthand. */
  readonly slices: ReadonlyMap<string, Fields>;
}

/** Keys of an object in a scenario file. */
export const WORDS: Readonly<Record<keyof Written, readonly string[]>> = {
  nodes: ['zone', 'addresses', 'labels'],
  services: ['labels', 'annotations', 'created', 'spec', 'status', 'endpoints'],
  slices: ['apiVersion', 'kind', 'metadata', 'service', 'labels', 'addressType', 'ports', 'endpoints'],
};

const NAMESPACE = 't';

/** All objects. `dualStack` adds an IPv6 twin to each IPv4 address. Throws if an object is invalid. */
export function manifestsOf(written: Written, dualStack: boolean): readonly object[] {
  const both = (slice: Slice): object[] => {
    const isTwinned = dualStack && slice.addressType === 'IPv4';
    return isTwinned ? [sliceObject(slice), sliceObject(sliceTwin(slice))] : [sliceObject(slice)];
  };
  return [
    ...Array.from(written.nodes, ([name, fields]) => nodeObject(name, fields)),
    ...Array.from(written.services, ([name, fields]) => serviceObject(name, fields, dualStack)),
    ...[...written.services].flatMap(([name, fields]) => (fields.endpoints === undefined ? [] : both(sliceOfService(name, fields)))),
    ...[...written.slices].flatMap(([name, fields]) => both(sliceAsWritten(name, fields))),
  ];
}

function nodeObject(name: string, { zone, addresses, labels }: Fields): object {
  const place = placeOf(name);
  if (place?.kind !== 'node') throw new Error(`Node is ${name}, must be n1 or n2`);
  const listed = (addresses as string[] | undefined) ?? [place.addresses[4]];
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}), ...(labels as object | undefined) } },
    spec: { podCIDR: podCidr(name), podCIDRs: [podCidr(name), twin(podCidr(name))] },
    status: { addresses: [...listed, ...listed.map(twin)].map((address) => ({ type: 'InternalIP', address })) },
  };
}

function serviceObject(name: string, { labels, annotations, created, spec, status }: Fields, dualStack: boolean): object {
  const { clusterIP, clusterIPs = clusterIP ? [clusterIP] : undefined, ...rest } = (spec ?? {}) as Fields;
  const fields = {
    metadata: { name, namespace: NAMESPACE, labels, annotations, creationTimestamp: created },
    spec: { ...(clusterIPs === undefined ? {} : { clusterIP, clusterIPs }), ...rest },
    status: status ?? {},
  };
  return { apiVersion: 'v1', kind: 'Service', ...(dualStack ? (withTwins(fields) as object) : fields) };
}

/** Adds a twin after each list item that contains an IPv4 address. */
function withTwins(value: unknown): unknown {
  if (Array.isArray(value))
    return value.flatMap((item) => {
      const other = twinned(item);
      return JSON.stringify(other) === JSON.stringify(item) ? [withTwins(item)] : [item, other];
    });
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withTwins(one)]));
}

/** The value with twins of all addresses instead. */
function twinned<T>(value: T): T {
  if (typeof value === 'string') return twin(value) as T;
  if (Array.isArray(value)) return value.map(twinned) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, twinned(one)])) as T;
}

/** An EndpointSlice without the fields that all slices share; endpoints as the API prints them. */
interface Slice {
  readonly metadata: Fields;
  readonly addressType: unknown;
  readonly ports: unknown;
  readonly endpoints: readonly unknown[];
}

const sliceTwin = ({ metadata, ports, endpoints }: Slice): Slice => ({
  metadata: { ...metadata, name: `${metadata.name}-6` },
  addressType: 'IPv6',
  ports,
  endpoints: twinned(endpoints),
});

const sliceObject = ({ metadata, ...rest }: Slice): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { namespace: NAMESPACE, ...metadata },
  ...rest,
});

const sliceAsWritten = (name: string, { metadata, service, labels, addressType = 'IPv4', ports, endpoints }: Fields): Slice => ({
  metadata: (metadata as Fields | undefined) ?? {
    name,
    labels: { 'kubernetes.io/service-name': service, ...(labels as object | undefined) },
  },
  addressType,
  ports,
  endpoints: endpointsOf(endpoints),
});

/** Slice of endpoints in shorthand, with all ports of the Service. */
function sliceOfService(service: string, { labels, spec, endpoints }: Fields): Slice {
  const ports = ((spec as Fields | undefined)?.ports ?? []) as readonly Fields[];
  const own = ports.map(({ name, protocol, port, targetPort = port }) => {
    if (typeof targetPort !== 'number') throw new Error(`targetPort is ${targetPort}: give Service ${service} slices instead of endpoints`);
    return { name, protocol, port: targetPort };
  });
  const all = { ...mirroredLabels(labels, spec), 'kubernetes.io/service-name': service };
  return { metadata: { name: service, labels: all }, addressType: 'IPv4', ports: own, endpoints: endpointsOf(endpoints) };
}

const HEADLESS = 'service.kubernetes.io/headless';

/** The controller copies a Service's labels to its slices and sets the headless label itself (endpointslice/utils.go, setEndpointSliceLabels). */
function mirroredLabels(labels: unknown, spec: unknown): object {
  const { [HEADLESS]: _, ...others } = (labels ?? {}) as Fields;
  return (spec as Fields | undefined)?.clusterIP === 'None' ? { ...others, [HEADLESS]: '' } : others;
}

const endpointsOf = (listed: unknown): readonly unknown[] =>
  ((listed ?? []) as readonly unknown[]).map((item) => (typeof item === 'string' ? endpoint(item) : item));

const CONDITIONS: Readonly<Record<string, object>> = {
  ready: { ready: true, serving: true },
  unready: { ready: false, serving: false },
  terminating: { ready: false, serving: true, terminating: true },
  gone: { ready: false, serving: false, terminating: true },
};

/** `b1 terminating zone=a node=n1`: a pod (or a node, for a process in its network), conditions and hints. */
function endpoint(text: string): object {
  const [name = '', ...words] = text.split(/\s+/);
  const place = placeOf(name);
  if (place === undefined) throw new Error(`Endpoint is ${name}, must be one of ${PLACES.map((one) => one.name).join(', ')}`);
  const hints = (kind: string): object[] => words.flatMap((word) => (word.startsWith(`${kind}=`) ? [{ name: word.slice(5) }] : []));
  const unknown = words.find((word) => !(word in CONDITIONS) && !/^(?:zone|node)=/.test(word));
  if (unknown) throw new Error(`Endpoint ${name} is ${unknown}, must be ${Object.keys(CONDITIONS).join(', ')}, zone=... or node=...`);
  const [forZones, forNodes] = [hints('zone'), hints('node')];
  return {
    addresses: [place.addresses[4]],
    conditions: Object.assign({ ready: true }, ...words.map((word) => CONDITIONS[word])),
    ...(place.kind === 'outside' ? {} : { nodeName: place.node, targetRef: { kind: 'Pod', namespace: NAMESPACE, name } }),
    ...(forZones.length + forNodes.length > 0
      ? { hints: { ...(forZones.length > 0 && { forZones }), ...(forNodes.length > 0 && { forNodes }) } }
      : {}),
  };
}
