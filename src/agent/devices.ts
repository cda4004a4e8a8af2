/** A network device as far as it decides where programs sit. */
export interface DeviceFacts {
  readonly ifindex: number;
  readonly name: string;
  /** IFLA_INFO_KIND: `veth`, `vrf`, `bridge` ...; empty for hardware. */
  readonly kind: string;
  /** ARPHRD_* of <linux/if_arp.h>. */
  readonly type: number;
  /** ifindex of the bridge, bond or VRF that it is a port of; 0 = none. */
  readonly master: number;
}

/** Where a packet starts on a device: at an Ethernet header, or at the IP header (tunnels, WireGuard, tun). */
export type Layer = 'l2' | 'l3';

const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

/**
 * Devices on which packets enter the IP stack, and how they look there. A port of a bridge or bond hands its packets to the
 * master before they reach IP. A port of a VRF does not: the VRF device runs no tc ingress (net/core: l3mdev receives after
 * sch_handle_ingress of the port), so the port is taken and the VRF device left out.
 */
export function attachableDevices(devices: readonly DeviceFacts[], exclude: readonly string[]): Map<number, Layer> {
  const vrfs = new Set(devices.filter((device) => device.kind === 'vrf').map((device) => device.ifindex));
  const excluded = exclude.map(globPattern);
  const wanted = devices.filter(
    ({ type, kind, master, name }) =>
      type !== ARPHRD_LOOPBACK && kind !== 'vrf' && (master === 0 || vrfs.has(master)) && !excluded.some((pattern) => pattern.test(name)),
  );
  return new Map(wanted.map(({ ifindex, type }) => [ifindex, type === ARPHRD_ETHER ? 'l2' : 'l3']));
}

/** `*` and `?` as a shell has them; everything else stands for itself. */
function globPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
