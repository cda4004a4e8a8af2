import { aheadText } from '#kernel/bpf/programs-ahead.ts';
import type { Log } from '#observe/log.ts';
import type { PacketPath } from '#reconcile/ports/datapath.ts';
import type { Alarm } from './alarm.ts';
import type { Attachments } from './attachments.ts';

/** Interval between looks, ms, and the number of looks in which each device is visited once. */
export interface NeighbourTimes {
  readonly lookMs: number;
  readonly looks: number;
}

interface Parts {
  readonly attachments: Pick<Attachments, 'devices'>;
  readonly datapath: Pick<PacketPath, 'programsAhead'>;
  readonly alarm: Alarm;
  readonly log: Log;
}

/**
 * Reports programs of other software that run before weir's on packets that enter a device: one that ends the chain keeps packets from
 * weir's. The kernel announces no tcx program, so a look visits a share of the devices, with a few system calls for each.
 */
export function watchNeighbours(
  { attachments, datapath, alarm, log }: Parts,
  { lookMs, looks }: NeighbourTimes = { lookMs: 500, looks: 6 },
): { stop(): void } {
  /** By device: the reported programs. */
  const reported = new Map<number, string>();
  let waiting: [ifindex: number, device: string][] = [];
  let share = 0;
  let failure: string | undefined;

  const visit = (ifindex: number, device: string): void => {
    const text = datapath.programsAhead(ifindex).map(aheadText).join(', ');
    if (text === (reported.get(ifindex) ?? '')) return;
    reported.set(ifindex, text);
    if (text === '') log.info("No program runs before weir's any more", { device });
    else alarm.warn('ProgramAhead', "A program of other software runs before weir's and can keep packets from it", { device, ahead: text });
  };

  const look = (): void => {
    if (waiting.length === 0) {
      const devices = attachments.devices();
      waiting = [...devices];
      share = Math.ceil(waiting.length / looks);
      for (const ifindex of reported.keys()) if (!devices.has(ifindex)) reported.delete(ifindex);
    }
    for (const [ifindex, device] of waiting.splice(0, share)) visit(ifindex, device);
  };

  const timer = setInterval(() => {
    try {
      look();
      failure = undefined;
    } catch (error) {
      if (failure !== String(error)) log.error("Cannot list the programs beside weir's, trying again", { error });
      failure = String(error);
    }
  }, lookMs);
  return { stop: () => clearInterval(timer) };
}
