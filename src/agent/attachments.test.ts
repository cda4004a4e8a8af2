import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_EVENTS } from '#events/event-recorder.ts';
import type { Link } from '#kernel/netlink/links.ts';
import { createLog } from '#observe/log.ts';
import { createAlarm } from './alarm.ts';
import { createAttachments } from './attachments.ts';

/** Devices of a machine, and what the kernel runs on them; it refuses the devices in `refuses`. */
function machine() {
  const devices = new Map<number, string>();
  const running = new Set<number>();
  /** The bridge, as far as a device is a port of one. */
  const masters = new Map<number, number>();
  const roles = new Map<number, string>();
  const refuses = new Set<number>();
  const lines: string[] = [];
  const listLinks = (): Link[] =>
    Array.from(devices, ([ifindex, name]) => ({
      ifindex,
      name,
      kind: name.startsWith('br') ? 'bridge' : undefined,
      master: masters.get(ifindex),
      isUp: true,
      isLoopback: false,
    }));
  const datapath = {
    attachDevice(ifindex: number, role: string) {
      if (refuses.has(ifindex) || !devices.has(ifindex)) throw new Error(`No program for ${ifindex}`);
      running.add(ifindex);
      roles.set(ifindex, role);
    },
    detachDevice: (ifindex: number) => running.delete(ifindex),
    attachedDevices: () => [...running],
  };
  const log = createLog(0, (line) => lines.push(line.slice(line.indexOf(' ') + 1)));
  const rules = () => ({ exclude: [], bridgesAskNetfilter: true });
  return {
    devices,
    masters,
    running,
    roles,
    refuses,
    lines,
    attachments: createAttachments({ datapath, listLinks, rules, alarm: createAlarm(log, NO_EVENTS), log }),
  };
}

test('programs come and go with the devices, including programs of an earlier agent', () => {
  const { devices, running, attachments } = machine();
  devices.set(2, 'eth0');
  running.add(9);
  assert.ok(attachments.follow());
  assert.deepEqual([...running], [2]);
  devices.delete(2);
  devices.set(3, 'eth1');
  assert.ok(attachments.follow());
  assert.deepEqual([...running], [3]);
  assert.deepEqual([...attachments.devices()], [[3, 'eth1']]);
});

test('a device that got the index of one that went in the same moment is served', () => {
  const { devices, running, attachments } = machine();
  devices.set(5, 'old');
  attachments.follow();
  running.delete(5);
  devices.set(5, 'new');
  attachments.follow();
  assert.deepEqual([...running], [5]);
});

test('a device that becomes a port of a bridge gets the program for ports', () => {
  const { devices, masters, roles, attachments } = machine();
  devices.set(2, 'br0').set(3, 'veth1');
  attachments.follow();
  assert.equal(roles.get(3), 'own');
  masters.set(3, 2);
  attachments.follow();
  assert.deepEqual(
    [...roles],
    [
      [2, 'own'],
      [3, 'port'],
    ],
  );
});

test('a device that the kernel refuses is reported once and retried, and the others are served', () => {
  const { devices, running, refuses, lines, attachments } = machine();
  devices.set(2, 'eth0').set(3, 'eth1');
  refuses.add(2);
  assert.equal(attachments.follow(), false);
  assert.equal(attachments.follow(), false);
  assert.deepEqual([...running], [3]);
  assert.deepEqual(lines, [
    'ERROR Cannot attach the packet program to device eth0: Service packets that enter there are not served error="No program for 2"\n',
  ]);
  refuses.clear();
  assert.ok(attachments.follow());
  assert.deepEqual([...running].sort(), [2, 3]);
});
