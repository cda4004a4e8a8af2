import { type Address, formatPrefix, type Prefix, prefixContains } from '#lib/address.ts';
import { coveringPrefixes } from './network.ts';
import type { Topology } from './topology.ts';
import { POD_DEVICE_PREFIX } from './wiring.ts';

/** Flags that tell an agent which sources are pods: their ranges, or their devices where nodes have addresses in these ranges. */
export function localDetectorFlags(lab: Topology): string[] {
  const pods = coveringPrefixes(lab.pods.filter((pod) => pod.ownNetns).flatMap((pod) => pod.addresses));
  const others = [...lab.nodes.flatMap((node) => node.addresses), ...serviceAddresses(lab)];
  if (overlaps(pods, others)) return ['--detect-local-mode', 'InterfaceNamePrefix', '--pod-interface-name-prefix', POD_DEVICE_PREFIX];
  return pods.length > 0 ? ['--cluster-cidr', pods.map(formatPrefix).join(',')] : [];
}

/** The ranges of ClusterIPs, computed from the used ones; none if other addresses lie in them. */
export function serviceRanges(lab: Topology): Prefix[] {
  const ranges = coveringPrefixes(lab.services.flatMap((service) => service.clusterIPs));
  return overlaps(
    ranges,
    [...lab.nodes, ...lab.pods].flatMap((place) => place.addresses),
  )
    ? []
    : ranges;
}

const serviceAddresses = (lab: Topology): Address[] =>
  lab.services.flatMap((service) => [...service.clusterIPs, ...service.externalIPs, ...service.loadBalancerIPs]);

const overlaps = (ranges: readonly Prefix[], addresses: readonly Address[]): boolean =>
  addresses.some((address) => ranges.some((range) => prefixContains(range, address)));
