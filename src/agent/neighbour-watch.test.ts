import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_EVENTS, type RecordedEvent } from '#events/event-recorder.ts';
import { createLog } from '#observe/log.ts';
import type { ProgramAhead } from '#reconcile/ports/datapath.ts';
import { createAlarm } from './alarm.ts';
import { watchNeighbours } from './neighbour-watch.ts';

const GUARD: ProgramAhead = { hook: 'tcx', position: 1, id: 7, name: 'guard' };

/** A watch over devices in memory that looks continuously; `visits` records the visited devices. */
function watched(looks: number) {
  const devices = new Map<number, string>();
  const ahead = new Map<number, ProgramAhead[] | Error>();
  const visits: number[] = [];
  const lines: string[] = [];
  const events: RecordedEvent[] = [];
  const log = createLog(0, (line) => lines.push(line.slice(line.indexOf(' ') + 1).trimEnd()));
  const programsAhead = (ifindex: number): ProgramAhead[] => {
    visits.push(ifindex);
    const found = ahead.get(ifindex) ?? [];
    if (found instanceof Error) throw found;
    return found;
  };
  const alarm = createAlarm(log, { ...NO_EVENTS, record: (event) => events.push(event) });
  const start = () =>
    watchNeighbours({ attachments: { devices: () => devices }, datapath: { programsAhead }, alarm, log }, { lookMs: 1, looks });
  return { devices, ahead, visits, lines, events, start };
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await sleep(1)) assert.ok(performance.now() < end, 'never came true');
}

test('a program that comes before ours is reported once, with device, position and id, and again when it is gone', async () => {
  const { devices, ahead, visits, lines, events, start } = watched(1);
  devices.set(2, 'eth0').set(3, 'eth1');
  const watch = start();
  await until(() => visits.length > 2);
  ahead.set(3, [GUARD, { hook: 'tcx', position: 2, id: 8, name: '' }]);
  await until(() => lines.length > 0);
  const after = visits.length;
  await until(() => visits.length > after + 4);
  ahead.delete(3);
  await until(() => lines.length > 1);
  watch.stop();
  const message = "A program of other software runs before weir's and can keep packets from it";
  const facts = 'device=eth1 ahead="1. tcx program guard (id 7), 2. tcx program without a name (id 8)"';
  assert.deepEqual(lines, [`WARN  ${message} ${facts}`, "INFO  No program runs before weir's any more device=eth1"]);
  assert.deepEqual(events, [{ reason: 'ProgramAhead', note: `${message} ${facts}`, service: undefined }]);
});

test('each look visits a share of the devices, and none twice before all had their turn', async () => {
  const { devices, visits, start } = watched(4);
  for (let ifindex = 1; ifindex <= 10; ifindex++) devices.set(ifindex, `eth${ifindex}`);
  const watch = start();
  await until(() => visits.length >= 20);
  watch.stop();
  assert.deepEqual(visits.slice(0, 10), [...devices.keys()]);
  assert.deepEqual(visits.slice(10, 20), [...devices.keys()]);
});

test('a device that cannot be asked is logged once, and the others have their turn', async () => {
  const { devices, ahead, visits, lines, start } = watched(2);
  devices.set(2, 'eth0').set(3, 'eth1');
  ahead.set(2, new Error('no answer'));
  const watch = start();
  await until(() => visits.filter((ifindex) => ifindex === 3).length > 3);
  watch.stop();
  assert.ok(lines.filter((line) => line.startsWith('ERROR')).length >= 1);
  assert.match(lines[0] ?? '', /^ERROR Cannot list the programs beside weir's, trying again error="no answer"$/);
});
