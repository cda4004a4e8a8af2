import { type Address, type Prefix, parseSloppyAddress } from '#lib/address.ts';
import { type AddressUse, networkOrWarning, scopeOf } from './address-fields.ts';
import { child, children, type LocatedFields, show, text, texts, warn } from './fields.ts';
import { readMetadata } from './metadata.ts';
import type { Node } from './node.ts';

/** v1 Node. Errors go into the report of `object`, see decodeService. */
export function decodeNode(object: LocatedFields): Node {
  const { name, labels } = readMetadata(object, 'Node');
  const addresses = children(child(object, 'status'), 'addresses');
  return {
    name,
    addresses: [...addressesOf(addresses, 'InternalIP'), ...addressesOf(addresses, 'ExternalIP')],
    podCIDRs: decodePodCIDRs(child(object, 'spec')),
    zone: text(labels, 'topology.kubernetes.io/zone'),
    isLeaving: isLeaving(object),
  };
}

/** As in kube-proxy's node manager (pkg/proxy/node.go, NodeEligibleHandler); the taint is cluster-autoscaler's. */
const isLeaving = (object: LocatedFields): boolean =>
  text(child(object, 'metadata'), 'deletionTimestamp') !== '' ||
  children(child(object, 'spec'), 'taints').some((taint) => taint.fields.key === 'ToBeDeletedByClusterAutoscaler');

const NEVER_ASSIGNED: readonly AddressUse[] = ['unspecified', 'multicast'];

/** Leaves out addresses that do not parse, as upstream does (pkg/util/node, GetNodeHostIPs), and addresses that a node cannot have. */
function addressesOf(places: readonly LocatedFields[], type: string): readonly Address[] {
  return places.flatMap((place) => {
    if (place.fields.type !== type) return [];
    const value = text(place, 'address');
    const address = parseSloppyAddress(value);
    if (address !== undefined && !NEVER_ASSIGNED.includes(scopeOf(address))) return address;
    warn(
      place,
      'address',
      `is ${show(value)}, not ${address === undefined ? 'an IP address' : 'the address of a machine'}, and is left out`,
    );
    return [];
  });
}

function decodePodCIDRs(spec: LocatedFields): readonly Prefix[] {
  const listed = texts(spec, 'podCIDRs');
  const single = text(spec, 'podCIDR');
  const all = listed.length > 0 || single === '' ? listed : [single];
  return all.flatMap((value, i) => networkOrWarning(spec, listed.length > 0 ? `podCIDRs[${i}]` : 'podCIDR', value) ?? []);
}
