import { type Address, type Family, familyOf, type Prefix, prefixContains } from '#lib/address.ts';
import type { Service } from '#model/service.ts';
import type { NodeView } from './node-view.ts';

/** The addresses of one Service in one family, and the sources that its LoadBalancer IPs admit. */
export interface ServiceAddresses {
  readonly family: Family;
  readonly clusterIPs: readonly Address[];
  readonly externalIPs: readonly Address[];
  readonly loadBalancerIPs: readonly Address[];
  /** Empty = all sources are admitted. */
  readonly sourceRanges: readonly Prefix[];
  readonly rangesAdmitNode: boolean;
}

/** Addresses of a Service in `family`, and whether its ranges admit the node. */
export function addressesOf(service: Service, family: Family, view: NodeView): ServiceAddresses {
  const own = (address: Address): boolean => familyOf(address) === family;
  const loadBalancerIPs = service.loadBalancerIPs.filter(own);
  const ranges = loadBalancerIPs.length === 0 ? [] : rangesOf(service, family);
  const nodeAddress = view.primaryAddresses[family];
  const rangesAdmitNode = nodeAddress !== undefined && ranges.some((range) => prefixContains(range, nodeAddress));
  return {
    family,
    clusterIPs: service.clusterIPs.filter(own),
    externalIPs: service.externalIPs.filter(own),
    loadBalancerIPs,
    sourceRanges: rangesAdmitNode ? [...ranges, ...loadBalancerIPs.map(hostPrefix)] : ranges,
    rangesAdmitNode,
  };
}

/** A range of length 0 admits all sources; ranges of the other family have no effect (newBaseServiceInfo, serviceport.go). */
function rangesOf({ sourceRanges }: Service, family: Family): readonly Prefix[] {
  const own = sourceRanges.filter((range) => familyOf(range.address) === family);
  return own.some((range) => range.length === 0) ? [] : own;
}

/** A node with the LoadBalancer IP as own address also sends from that address (nftables/proxier.go, allowFromNode). */
const hostPrefix = (address: Address): Prefix => ({ address, length: familyOf(address) === 4 ? 32 : 128 });
