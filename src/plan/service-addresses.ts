import { type Address, type Family, familyOf, type Prefix, prefixContains } from '#lib/address.ts';
import type { Service } from '#model/service.ts';
import type { NodeView } from './node-view.ts';

/** The addresses of one Service in one family, and who may come to its LoadBalancer IPs. */
export interface ServiceAddresses {
  readonly family: Family;
  readonly clusterIPs: readonly Address[];
  readonly externalIPs: readonly Address[];
  readonly loadBalancerIPs: readonly Address[];
  /** Empty = everybody may come. */
  readonly sourceRanges: readonly Prefix[];
  readonly rangesAdmitNode: boolean;
}

/** What a Service has in `family`; the node decides whether its ranges admit it. */
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

/** A range of length 0 admits everybody; ranges of the other family say nothing about this one (newBaseServiceInfo, serviceport.go). */
function rangesOf({ sourceRanges }: Service, family: Family): readonly Prefix[] {
  const own = sourceRanges.filter((range) => familyOf(range.address) === family);
  return own.some((range) => range.length === 0) ? [] : own;
}

/** A node that has the LoadBalancer IP as its own address also calls from it (nftables/proxier.go, allowFromNode). */
const hostPrefix = (address: Address): Prefix => ({ address, length: familyOf(address) === 4 ? 32 : 128 });
