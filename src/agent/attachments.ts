import type { Link } from '#kernel/netlink/links.ts';
import type { Log } from '#observe/log.ts';
import type { DeviceRole, PacketPath } from '#reconcile/ports/datapath.ts';
import type { Alarm } from './alarm.ts';
import { attachableDevices, type DeviceRules } from './devices.ts';

/** Attaches packet programs to the devices that need one, and detaches them from all others. */
export interface Attachments {
  /** Lists the devices. The first call replaces programs of an earlier agent. Returns false if a device lacks its program. */
  follow(): boolean;
  /** Devices with a program of this agent: their names by interface index. */
  devices(): ReadonlyMap<number, string>;
}

export interface AttachmentsParts {
  readonly datapath: Pick<PacketPath, 'attachDevice' | 'detachDevice' | 'attachedDevices'>;
  readonly listLinks: () => readonly Link[];
  /** Called at every follow(). */
  readonly rules: () => DeviceRules;
  readonly alarm: Alarm;
  readonly log: Log;
}

/** Nothing is attached before the first follow(). */
export function createAttachments({ datapath, listLinks, rules, alarm, log }: AttachmentsParts): Attachments {
  /** Devices with a program of this agent. */
  const ours = new Map<number, { readonly name: string; readonly role: DeviceRole }>();
  /** By device: the last error, which is reported once. */
  const refused = new Map<number, string>();

  const attach = (ifindex: number, role: DeviceRole, name: string): void => {
    try {
      datapath.attachDevice(ifindex, role);
      ours.set(ifindex, { name, role });
      refused.delete(ifindex);
      log.debug(2, 'Attached the packet program', { device: name, role });
    } catch (error) {
      if (!listLinks().some((link) => link.ifindex === ifindex)) return;
      if (refused.get(ifindex) !== String(error))
        alarm.error(
          'DeviceNotServed',
          `Cannot attach the packet program to device ${name}: Service packets that enter there are not served`,
          { error },
        );
      refused.set(ifindex, String(error));
    }
  };

  const detach = (ifindex: number, name: string): void => {
    datapath.detachDevice(ifindex);
    log.debug(2, 'Detached the packet program', { device: name });
    ours.delete(ifindex);
  };

  return {
    follow() {
      const links = listLinks();
      const nameOf = (ifindex: number): string =>
        links.find((link) => link.ifindex === ifindex)?.name ?? ours.get(ifindex)?.name ?? String(ifindex);
      const wanted = attachableDevices(links, rules());
      // Ask the kernel: a new device may have the index of an old one, and other programs remove queues with weir's filter
      const attached = new Set(datapath.attachedDevices());
      for (const ifindex of refused.keys()) if (!wanted.has(ifindex)) refused.delete(ifindex);
      for (const ifindex of new Set([...ours.keys(), ...attached])) if (!wanted.has(ifindex)) detach(ifindex, nameOf(ifindex));
      for (const [ifindex, role] of wanted)
        if (ours.get(ifindex)?.role !== role || !attached.has(ifindex)) attach(ifindex, role, nameOf(ifindex));
      return refused.size === 0;
    },
    devices: () => new Map(Array.from(ours, ([ifindex, { name }]) => [ifindex, name])),
  };
}
