import { type Address, type Family, familyOf, type Prefix } from '#lib/address.ts';
import type { Node } from '#model/node.ts';

/** Settings of this node; Config implements it. */
export interface NodeRules {
  readonly nodeName: string;
  /** How to distinguish the source addresses of pods from outside ones. */
  readonly localDetector:
    | { readonly mode: 'ClusterCIDR'; readonly prefixes: readonly Prefix[] }
    | { readonly mode: 'NodeCIDR' }
    | { readonly mode: 'BridgeInterface'; readonly name: string }
    | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string }
    | { readonly mode: 'None' };
  /** Primary address of its family, instead of the Node's (kube-proxy: detectNodeIPs, server.go). */
  readonly bindAddress?: Address | undefined;
  /** ClusterIP traffic always gets a new source address. */
  readonly masqueradeAll: boolean;
}

/** The node as planService needs it, besides the Service and its slices. */
export interface NodeView {
  readonly nodeName: string;
  /** Empty if the Node has no zone. */
  readonly zone: string;
  /** Whether pods are distinguishable from outsiders, per family as in kube-proxy (getLocalDetectors, server_linux.go). */
  readonly hasLocalDetector: Readonly<Record<Family, boolean>>;
  readonly masqueradeAll: boolean;
  readonly primaryAddresses: Readonly<Record<Family, Address | undefined>>;
}

/** `node` is undefined until the source delivers it. */
export function viewNode(node: Node | undefined, rules: NodeRules): NodeView {
  const { mode } = rules.localDetector;
  const byDevice = mode === 'BridgeInterface' || mode === 'InterfaceNamePrefix';
  const nets = localNetsOf(node, rules);
  const detects = (family: Family): boolean => byDevice || nets.some((net) => familyOf(net.address) === family);
  return {
    nodeName: rules.nodeName,
    zone: node?.zone ?? '',
    hasLocalDetector: { 4: detects(4), 6: detects(6) },
    masqueradeAll: rules.masqueradeAll,
    primaryAddresses: { 4: primaryAddress(4, node, rules), 6: primaryAddress(6, node, rules) },
  };
}

/** Source ranges of pods, if the local detector uses addresses. */
export function localNetsOf(node: Node | undefined, { localDetector }: NodeRules): readonly Prefix[] {
  if (localDetector.mode === 'ClusterCIDR') return localDetector.prefixes;
  return localDetector.mode === 'NodeCIDR' ? (node?.podCIDRs ?? []) : [];
}

function primaryAddress(family: Family, node: Node | undefined, { bindAddress }: NodeRules): Address | undefined {
  if (bindAddress !== undefined && familyOf(bindAddress) === family) return bindAddress;
  return node?.addresses.find((address) => familyOf(address) === family);
}
