import { type Address, type Family, familyOf, type Prefix } from '#lib/address.ts';
import type { Node } from '#model/node.ts';

/** What the operator decided about this node; a Config is one. */
export interface NodeRules {
  readonly nodeName: string;
  /** How a pod's source is told from an outside one. */
  readonly localDetector:
    | { readonly mode: 'ClusterCIDR'; readonly prefixes: readonly Prefix[] }
    | { readonly mode: 'NodeCIDR' }
    | { readonly mode: 'BridgeInterface'; readonly name: string }
    | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string }
    | { readonly mode: 'None' };
  /** Counts as the primary address of its family, whatever the Node says (kube-proxy: detectNodeIPs, server.go). */
  readonly bindAddress?: Address | undefined;
  /** ClusterIP traffic always gets a new source address. */
  readonly masqueradeAll: boolean;
}

/** What Services look like from this node: everything that planService needs besides the Service and its slices. */
export interface NodeView {
  readonly nodeName: string;
  /** Empty where the node names none. */
  readonly zone: string;
  /** Whether pods can be told from outsiders; kube-proxy decides it for each family (getLocalDetectors, server_linux.go). */
  readonly hasLocalDetector: Readonly<Record<Family, boolean>>;
  readonly masqueradeAll: boolean;
  readonly primaryAddresses: Readonly<Record<Family, Address | undefined>>;
}

/** `node` is undefined until the source has it. */
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

/** Source ranges of pods, where the local detector goes by addresses. */
export function localNetsOf(node: Node | undefined, { localDetector }: NodeRules): readonly Prefix[] {
  if (localDetector.mode === 'ClusterCIDR') return localDetector.prefixes;
  return localDetector.mode === 'NodeCIDR' ? (node?.podCIDRs ?? []) : [];
}

function primaryAddress(family: Family, node: Node | undefined, { bindAddress }: NodeRules): Address | undefined {
  if (bindAddress !== undefined && familyOf(bindAddress) === family) return bindAddress;
  return node?.addresses.find((address) => familyOf(address) === family);
}
