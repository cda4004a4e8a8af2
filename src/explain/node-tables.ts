import {
  ADDRESS_CLUSTER_IP,
  ADDRESS_FRONTENDS,
  ADDRESS_NODE,
  DEVICE_PODS,
  SETTINGS_LOOPBACK_NODE_PORTS,
  SETTINGS_NO_LOCAL_DETECTOR4,
  SETTINGS_NO_LOCAL_DETECTOR6,
  SETTINGS_SOCKETS_HOST_ONLY,
} from '#abi/generated.ts';
import { type Address, type Family, familyOf, prefixContains, tablePrefixBits, ZERO_ADDRESS } from '#lib/address.ts';
import type { TableDump } from './table-join.ts';

/** What the node's own tables say about addresses, devices and sources. */
export interface NodeTablesView {
  /** False before an agent has written the settings: the programs translate nothing. */
  readonly isSet: boolean;
  /** Pods' sockets are left to the packet path. */
  readonly areSocketsOfNodeOnly: boolean;
  /** NodePorts answer processes of the node on loopback. */
  readonly hasLoopbackNodePorts: boolean;
  /** A ClusterIP that refuses ports without a frontend. Other processes may listen at an address of the node. */
  isClusterIP(address: Address): boolean;
  /** The programs look for frontends of this address. */
  hasFrontends(address: Address): boolean;
  /** NodePorts answer at this address. */
  hasNodePorts(address: Address): boolean;
  /** Whether pods and outsiders are distinguished in a family. */
  detectsPods(family: Family): boolean;
  isPod(source: Address, ifindex: number): boolean;
  /** Whether the source ranges of a service id admit a source. */
  isInRanges(service: number, source: Address): boolean;
  /** The source of SNAT on a device: its own address, else the node's. */
  snatSource(ifindex: number, family: Family): Address;
}

/** Reads the node's tables as they are at this moment. */
export function readNodeTables(tables: TableDump): NodeTablesView {
  const meanings = new Map(tables.dump('addresses').map(({ key, value }) => [key.address, value.flags]));
  const devices = new Map(tables.dump('devices').map(({ key, value }) => [key.ifindex, value]));
  const localNets = tables.dump('local_nets').map(({ key }) => key);
  const ranges = tables.dump('source_ranges').map(({ key }) => key);
  const settings = tables.dump('settings')[0]?.value;
  const flags = settings?.flags ?? 0;
  const meaning = (address: Address): number => meanings.get(address) ?? 0;

  return {
    isSet: settings !== undefined,
    areSocketsOfNodeOnly: (flags & SETTINGS_SOCKETS_HOST_ONLY) !== 0,
    hasLoopbackNodePorts: (flags & SETTINGS_LOOPBACK_NODE_PORTS) !== 0,
    isClusterIP: (address) => (meaning(address) & (ADDRESS_CLUSTER_IP | ADDRESS_NODE)) === ADDRESS_CLUSTER_IP,
    hasFrontends: (address) => (meaning(address) & ADDRESS_FRONTENDS) !== 0,
    hasNodePorts: (address) => (meaning(address) & ADDRESS_NODE) !== 0,
    detectsPods: (family) => (flags & (family === 4 ? SETTINGS_NO_LOCAL_DETECTOR4 : SETTINGS_NO_LOCAL_DETECTOR6)) === 0,
    isPod: (source, ifindex) => ((devices.get(ifindex)?.flags ?? 0) & DEVICE_PODS) !== 0 || localNets.some((net) => covers(net, 0, source)),
    isInRanges: (service, source) => ranges.some((range) => range.service === service && covers(range, SERVICE_BITS, source)),
    snatSource(ifindex, family) {
      const field = family === 4 ? 'snat4' : 'snat6';
      const own = devices.get(ifindex)?.[field] ?? ZERO_ADDRESS[family];
      return own === ZERO_ADDRESS[family] ? (settings?.[field] ?? own) : own;
    },
  };
}

/** Bits of a source range's key before its address. */
const SERVICE_BITS = 32;

/** Whether a key of a longest-prefix table covers an address. */
function covers(key: { readonly prefixBits: number; readonly address: Address }, bitsBefore: number, address: Address): boolean {
  const family = familyOf(key.address);
  const length = key.prefixBits - bitsBefore - tablePrefixBits({ address: key.address, length: 0 });
  return family === familyOf(address) && prefixContains({ address: key.address, length }, address);
}
