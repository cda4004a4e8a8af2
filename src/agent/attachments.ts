import type { Datapath } from '#kernel/datapath.ts';
import { listAddresses, listLinks } from '#kernel/links.ts';
import type { Log } from '#observe/log.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import { attachableDevices } from './devices.ts';

/** Devices of the node with the addresses that may be used now, in the kernel's order. */
export function localDevices(): LocalDevice[] {
  const addresses = listAddresses().filter((address) => !address.isTentative && !address.isDeprecated);
  return listLinks().map(({ ifindex, name }) => ({
    ifindex,
    name,
    addresses: addresses.filter((address) => address.ifindex === ifindex).map(({ address }) => address),
  }));
}

/** Brings packet programs to the devices that should have one, and away from the others. */
export interface Attachments {
  /** Looks at the devices as they are now. Programs of an earlier agent are replaced the first time. */
  follow(): void;
  count(): number;
}

/** `exclude`: globs of device names that get no program. */
export function createAttachments(datapath: Datapath, exclude: readonly string[], log: Log): Attachments {
  const ours = new Map<number, string>();

  const attach = (ifindex: number, layer: 'l2' | 'l3', name: string): void => {
    try {
      datapath.attachDevice(ifindex, layer);
      ours.set(ifindex, name);
      log.debug(2, 'Attached the packet program', { device: name, layer });
    } catch (error) {
      if (!listLinks().some((link) => link.ifindex === ifindex)) return;
      log.error(`Cannot attach the packet program to device ${name}: Service packets that enter there are not served`, { error });
    }
  };

  return {
    follow() {
      const links = listLinks();
      const names = new Map(links.map((link) => [link.ifindex, link.name]));
      const wanted = attachableDevices(links, exclude);
      for (const ifindex of new Set([...ours.keys(), ...datapath.attachedDevices()])) {
        if (wanted.has(ifindex)) continue;
        datapath.detachDevice(ifindex);
        log.debug(2, 'Detached the packet program', { device: names.get(ifindex) ?? ours.get(ifindex) ?? ifindex });
        ours.delete(ifindex);
      }
      for (const [ifindex, layer] of wanted) if (!ours.has(ifindex)) attach(ifindex, layer, names.get(ifindex) ?? String(ifindex));
    },
    count: () => ours.size,
  };
}
