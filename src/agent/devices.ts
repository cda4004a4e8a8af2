import type { Link, LinkAddress } from '#kernel/netlink/links.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import type { DeviceRole } from '#reconcile/ports/datapath.ts';

/** The properties of a device that decide whether it gets a program. */
export type DeviceFacts = Pick<Link, 'ifindex' | 'name' | 'kind' | 'master' | 'isLoopback'>;

/** Rules that decide besides the devices themselves. */
export interface DeviceRules {
  /** Globs of device names that get no program. */
  readonly exclude: readonly string[];
  /** Whether bridges pass their packets to netfilter first (net.bridge.bridge-nf-call-iptables). */
  readonly bridgesAskNetfilter: boolean;
}

/**
 * Devices on which packets enter the IP stack, with their roles. A port of a bridge or bond passes its packets to the
 * master before they reach IP, so the master gets the program. A VRF device runs no tc ingress (net/core: l3mdev receives after
 * sch_handle_ingress of the port), so its ports get the program. If bridges pass packets to netfilter, their ports get it as well:
 * prerouting is over when the bridge device runs tc ingress (net/bridge/br_netfilter_hooks.c), so a flow must start before.
 */
export function attachableDevices(devices: readonly DeviceFacts[], { exclude, bridgesAskNetfilter }: DeviceRules): Map<number, DeviceRole> {
  const kinds = new Map(devices.map(({ ifindex, kind }) => [ifindex, kind]));
  const excluded = exclude.map(globPattern);
  const roleOf = ({ isLoopback, kind, master, name }: DeviceFacts): DeviceRole | undefined => {
    if (isLoopback || kind === 'vrf' || excluded.some((pattern) => pattern.test(name))) return undefined;
    const masterKind = master === undefined ? undefined : kinds.get(master);
    if (masterKind === 'bridge' && bridgesAskNetfilter) return 'port';
    return master === undefined || masterKind === 'vrf' ? 'own' : undefined;
  };
  return new Map(devices.flatMap((device) => pairOf(device.ifindex, roleOf(device))));
}

const pairOf = (ifindex: number, role: DeviceRole | undefined): [number, DeviceRole][] => (role === undefined ? [] : [[ifindex, role]]);

/**
 * Devices of the node with their usable addresses, in the kernel's order. Clients still dial deprecated addresses (RFC 4862, 5.5.4), for example
 * one that moves between nodes, but these come last because packets should get another source.
 */
export function localDevices(
  links: readonly Pick<Link, 'ifindex' | 'name' | 'kind' | 'master'>[],
  addresses: readonly Pick<LinkAddress, 'ifindex' | 'address' | 'isTentative' | 'isDeprecated'>[],
): LocalDevice[] {
  const usable = addresses.filter(({ isTentative }) => !isTentative).toSorted((a, b) => Number(a.isDeprecated) - Number(b.isDeprecated));
  const bridges = new Map(links.filter(({ kind }) => kind === 'bridge').map(({ ifindex, name }) => [ifindex, name]));
  return links.map(({ ifindex, name, master }) => ({
    ifindex,
    name,
    ...bridgeOf(bridges.get(master ?? 0)),
    addresses: usable.filter((address) => address.ifindex === ifindex).map(({ address }) => address),
  }));
}

const bridgeOf = (bridge: string | undefined): { bridge?: string } => (bridge === undefined ? {} : { bridge });

/** Supports `*` and `?` as in a shell; every other character is literal. */
function globPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
