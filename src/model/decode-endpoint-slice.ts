import type { Address, Family } from '#lib/address.ts';
import { routableAddress } from './address-fields.ts';
import { decodePortName, PROTOCOLS, refuseDuplicates } from './decode-service-ports.ts';
import type { Endpoint, EndpointPort, EndpointSlice } from './endpoint-slice.ts';
import { child, children, choice, flag, integer, isAbsent, type LocatedFields, text, texts, warn, wrong } from './fields.ts';
import { isLeftToOthers, isSubdomain, readMetadata } from './metadata.ts';
import { MAX_PORT } from './service-type.ts';

const NO_HINTS: readonly string[] = Object.freeze([]);

/** discovery.k8s.io/v1 EndpointSlice of IP addresses. Errors go into the report of `object`, see decodeService. */
export function decodeEndpointSlice(object: LocatedFields): EndpointSlice {
  const metadata = readMetadata(object, 'EndpointSlice');
  const family: Family = choice(object, 'addressType', ['IPv4', 'IPv6']) === 'IPv4' ? 4 : 6;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    serviceName: text(metadata.labels, 'kubernetes.io/service-name'),
    family,
    endpoints: children(object, 'endpoints').flatMap((place) => decodeEndpoint(place, family, metadata.namespace) ?? []),
    ports: decodePorts(object),
    triggeredAt: triggeredAt(object),
    ...(isLeftToOthers(metadata) ? { unproxied: true } : {}),
  };
}

/** 0 without an error for an unreadable time, because only a metric uses it (kube-proxy: getLastChangeTriggerTime). */
function triggeredAt(object: LocatedFields): number {
  const annotations = child(child(object, 'metadata'), 'annotations');
  const time = annotations.fields['endpoints.kubernetes.io/last-change-trigger-time'];
  return typeof time === 'string' ? Date.parse(time) || 0 : 0;
}

/** An endpoint without an address is left out with a warning, as kube-proxy does (endpointslicecache.go, addEndpoints). */
function decodeEndpoint(place: LocatedFields, family: Family, namespace: string): Endpoint | undefined {
  const listed = place.fields.addresses;
  if (isAbsent(listed) || (Array.isArray(listed) && listed.length === 0)) {
    warn(place, 'addresses', 'is empty, so the endpoint is left out');
    return undefined;
  }
  const address = decodeAddresses(place, family);
  if (address === undefined) return undefined;
  const conditions = child(place, 'conditions');
  const hints = child(place, 'hints');
  return {
    address,
    ready: flag(conditions, 'ready', true),
    serving: flag(conditions, 'serving', true),
    terminating: flag(conditions, 'terminating', false),
    nodeName: decodeNodeName(place, 'nodeName'),
    hintZones: decodeHints(hints, 'forZones'),
    hintNodes: decodeHints(hints, 'forNodes'),
    pod: decodePod(child(place, 'targetRef'), namespace),
  };
}

/** The first address. The others have no effect but must be valid. */
function decodeAddresses(place: LocatedFields, family: Family): Address | undefined {
  const addresses = texts(place, 'addresses').map((value, i) => routableAddress(place, `addresses[${i}]`, value, family));
  return addresses[0];
}

/** Empty if absent. */
function decodeNodeName(place: LocatedFields, key: string): string {
  const name = text(place, key);
  if (name !== '' && !isSubdomain(name)) wrong(place, key, name, 'the name of a Node');
  return name;
}

function decodeHints(hints: LocatedFields, key: string): readonly string[] {
  if (isAbsent(hints.fields[key])) return NO_HINTS;
  return children(hints, key).map((hint) => {
    const name = text(hint, 'name');
    if (name === '') wrong(hint, 'name', undefined, key === 'forNodes' ? 'the name of a Node' : 'the name of a zone');
    return name;
  });
}

function decodePod(targetRef: LocatedFields, namespace: string): string {
  if (targetRef.fields.kind !== 'Pod') return '';
  return `${text(targetRef, 'namespace') || namespace}/${text(targetRef, 'name')}`;
}

/** Ports without a number are left out with a warning, as kube-proxy does (endpointslicecache.go, endpointInfoByServicePort). */
function decodePorts(object: LocatedFields): readonly EndpointPort[] {
  const places = children(object, 'ports');
  refuseDuplicates(
    places,
    'name',
    places.map((place) => text(place, 'name')),
  );
  return places.flatMap((place) => {
    if (isAbsent(place.fields.port) || place.fields.port === 0) {
      warn(place, 'port', 'has no number, so the port is left out');
      return [];
    }
    return {
      name: decodePortName(place),
      protocol: choice(place, 'protocol', PROTOCOLS, 'TCP'),
      port: integer(place, 'port', 1, MAX_PORT),
    };
  });
}
