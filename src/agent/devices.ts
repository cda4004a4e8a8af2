import type { Layer } from '#kernel/datapath.ts';
import type { Link, LinkAddress } from '#kernel/links.ts';
import type { LocalDevice } from '#plan/plan-node.ts';

/** A device as far as it decides where programs sit. */
export type DeviceFacts = Pick<Link, 'ifindex' | 'name' | 'kind' | 'hardwareType' | 'master' | 'isLoopback'>;

/** <linux/if_arp.h>. */
const ARPHRD_ETHER = 1;

/**
 * Devices on which packets enter the IP stack, and how they look there. A port of a bridge or bond hands its packets to the
 * master before they reach IP. A port of a VRF does not: the VRF device runs no tc ingress (net/core: l3mdev receives after
 * sch_handle_ingress of the port), so the port is taken and the VRF device left out.
 */
export function attachableDevices(devices: readonly DeviceFacts[], exclude: readonly string[]): Map<number, Layer> {
  const vrfs = new Set(devices.filter((device) => device.kind === 'vrf').map((device) => device.ifindex));
  const excluded = exclude.map(globPattern);
  const wanted = devices.filter(
    ({ isLoopback, kind, master, name }) =>
      !isLoopback && kind !== 'vrf' && (master === undefined || vrfs.has(master)) && !excluded.some((pattern) => pattern.test(name)),
  );
  return new Map(wanted.map(({ ifindex, hardwareType }) => [ifindex, hardwareType === ARPHRD_ETHER ? 'l2' : 'l3']));
}

/**
 * Devices of the node with the addresses that may be used now, in the kernel's order. Deprecated ones (RFC 4862, 5.5.4) are still dialled,
 * such as an address that moves between nodes, but come last because packets should get another source.
 */
export function localDevices(
  links: readonly Pick<Link, 'ifindex' | 'name'>[],
  addresses: readonly Pick<LinkAddress, 'ifindex' | 'address' | 'isTentative' | 'isDeprecated'>[],
): LocalDevice[] {
  const usable = addresses.filter(({ isTentative }) => !isTentative).toSorted((a, b) => Number(a.isDeprecated) - Number(b.isDeprecated));
  return links.map(({ ifindex, name }) => ({
    ifindex,
    name,
    addresses: usable.filter((address) => address.ifindex === ifindex).map(({ address }) => address),
  }));
}

/** `*` and `?` as a shell has them; everything else stands for itself. */
function globPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
