import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '#kernel/links.ts';
import { createLog } from '#observe/log.ts';
import { createAttachments } from './attachments.ts';

/** Devices of a machine, and what the kernel runs on them; it refuses the devices in `refuses`. */
function machine() {
  const devices = new Map<number, string>();
  const running = new Set<number>();
  const refuses = new Set<number>();
  const lines: string[] = [];
  const listLinks = (): Link[] =>
    Array.from(devices, ([ifindex, name]) => ({
      ifindex,
      name,
      kind: undefined,
      hardwareType: 1,
      master: undefined,
      isUp: true,
      isLoopback: false,
    }));
  const datapath = {
    attachDevice(ifindex: number) {
      if (refuses.has(ifindex) || !devices.has(ifindex)) throw new Error(`No program for ${ifindex}`);
      running.add(ifindex);
    },
    detachDevice: (ifindex: number) => running.delete(ifindex),
    attachedDevices: () => [...running],
  };
  const log = createLog(0, (line) => lines.push(line.slice(line.indexOf(' ') + 1)));
  return { devices, running, refuses, lines, attachments: createAttachments({ datapath, listLinks, exclude: [], log }) };
}

test('programs come and go with the devices, those of an earlier agent too', () => {
  const { devices, running, attachments } = machine();
  devices.set(2, 'eth0');
  running.add(9);
  assert.ok(attachments.follow());
  assert.deepEqual([...running], [2]);
  devices.delete(2);
  devices.set(3, 'eth1');
  assert.ok(attachments.follow());
  assert.deepEqual([...running], [3]);
  assert.equal(attachments.count(), 1);
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

test('a device that the kernel refuses is told once, tried again, and keeps no other from being served', () => {
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
