import {
  DEVICE_PODS,
  type Device,
  SETTINGS_LOOPBACK_NODE_PORTS,
  SETTINGS_NO_LOCAL_DETECTOR4,
  SETTINGS_NO_LOCAL_DETECTOR6,
  SETTINGS_SOCKETS_HOST_ONLY,
  type Settings,
  type TableEntry,
} from '#abi/generated.ts';
import { type Address, type Family, familyOf, type Prefix, parseAddress, prefixContains, ZERO_ADDRESS } from '#lib/address.ts';
import { scopeOf } from '#model/address-fields.ts';
import type { Node } from '#model/node.ts';
import { localNetsOf, type NodeRules, type NodeView, viewNode } from './node-view.ts';

/** A network device of the node, loopback included, with its addresses in the kernel's order. */
export interface LocalDevice {
  readonly ifindex: number;
  readonly name: string;
  /** The bridge of which this device is a port: packets that enter by the port enter the node by the bridge. */
  readonly bridge?: string;
  readonly addresses: readonly Address[];
}

export interface NodeRequest {
  /** Undefined until the source delivers it. */
  readonly node: Node | undefined;
  readonly devices: readonly LocalDevice[];
  /** Config implements it. */
  readonly rules: NodeRules & {
    readonly nodePortAddresses:
      | { readonly mode: 'primary' }
      | { readonly mode: 'networks'; readonly prefixes: readonly Prefix[]; readonly primary?: true };
    readonly socketScope: 'all' | 'host';
    readonly localhostNodePorts: boolean;
    /** Bit of ct->mark. */
    readonly conntrackMark: number;
  };
  /** SO_NETNS_COOKIE of the node's network namespace. */
  readonly netnsCookie: bigint;
}

/** The wanted table entries of the node itself, independent of Services. */
export interface NodePlan {
  /** Addresses with ADDRESS_NODE; unique and without loopback. */
  readonly nodePortAddresses: readonly Address[];
  /** Addresses with ADDRESS_HELD. */
  readonly heldAddresses: readonly Address[];
  readonly localNets: readonly Prefix[];
  readonly devices: readonly TableEntry<'devices'>[];
  readonly settings: Settings;
}

/** Plans the node's own entries from its current state. Never throws. */
export function planNode({ node, devices, rules, netnsCookie }: NodeRequest): NodePlan {
  const view = viewNode(node, rules);
  return {
    nodePortAddresses: planNodePortAddresses(view, devices, rules.nodePortAddresses),
    heldAddresses: devices.filter(isNoLoopback).flatMap((device) => device.addresses),
    localNets: localNetsOf(node, rules),
    devices: devices.filter(isNoLoopback).map((device) => ({ key: { ifindex: device.ifindex }, value: planDevice(device, view, rules) })),
    settings: {
      nodeNetnsCookie: netnsCookie,
      flags: settingsFlags(view, rules),
      conntrackMark: rules.conntrackMark,
      snat4: view.primaryAddresses[4] ?? ZERO_ADDRESS[4],
      snat6: view.primaryAddresses[6] ?? ZERO_ADDRESS[6],
    },
  };
}

type NodePortAddresses = NodeRequest['rules']['nodePortAddresses'];
type Networks = Extract<NodePortAddresses, { readonly mode: 'networks' }>;

const FAMILIES: readonly Family[] = [4, 6];
const LOOPBACK = parseAddress('127.0.0.1') as Address;

/** Leaves out loopback addresses, because packets to them never come from outside (nftables/proxier.go, nodeport-ips). */
function planNodePortAddresses(view: NodeView, devices: readonly LocalDevice[], wanted: NodePortAddresses): readonly Address[] {
  const primary = wanted.mode === 'primary' || wanted.primary ? FAMILIES.flatMap((family) => view.primaryAddresses[family] ?? []) : [];
  const others =
    wanted.mode === 'networks' ? devices.flatMap((device) => device.addresses).filter((address) => isWanted(address, wanted)) : [];
  return [...new Set([...primary, ...others])].filter((address) => scopeOf(address) !== 'loopback');
}

/** A family without a network uses all addresses of the node (pkg/proxy/util, NewNodePortAddresses); `primary` counts as a network. */
function isWanted(address: Address, { prefixes, primary }: Networks): boolean {
  const own = prefixes.filter((prefix) => familyOf(prefix.address) === familyOf(address));
  return own.length === 0 ? !primary : own.some((prefix) => prefixContains(prefix, address));
}

/** The node's primary address if the device has it: flows would break with the loss of another one, such as one that moves between nodes. */
function planDevice({ name, bridge, addresses }: LocalDevice, { primaryAddresses }: NodeView, { localDetector }: NodeRules): Device {
  const sourceFor = (family: Family): Address => {
    const own = addresses.filter((address) => familyOf(address) === family && scopeOf(address) === 'global');
    return own.find((address) => address === primaryAddresses[family]) ?? own[0] ?? ZERO_ADDRESS[family];
  };
  const enteredBy = bridge ?? name;
  const carriesPods =
    (localDetector.mode === 'BridgeInterface' && enteredBy === localDetector.name) ||
    (localDetector.mode === 'InterfaceNamePrefix' && enteredBy.startsWith(localDetector.prefix));
  return { snat4: sourceFor(4), snat6: sourceFor(6), flags: carriesPods ? DEVICE_PODS : 0 };
}

/** Loopback NodePorts: on by default; with a list of networks only if it contains 127.0.0.1 (iptables/proxier.go, ContainsIPv4Loopback). */
function settingsFlags(view: NodeView, rules: NodeRequest['rules']): number {
  const { nodePortAddresses } = rules;
  const loopback = rules.localhostNodePorts && (nodePortAddresses.mode === 'primary' || isWanted(LOOPBACK, nodePortAddresses));
  return (
    (rules.socketScope === 'host' ? SETTINGS_SOCKETS_HOST_ONLY : 0) |
    (view.hasLocalDetector[4] ? 0 : SETTINGS_NO_LOCAL_DETECTOR4) |
    (view.hasLocalDetector[6] ? 0 : SETTINGS_NO_LOCAL_DETECTOR6) |
    (loopback ? SETTINGS_LOOPBACK_NODE_PORTS : 0)
  );
}

const isNoLoopback = (device: LocalDevice): boolean => device.name !== 'lo';
