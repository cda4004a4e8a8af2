import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import { run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { DialingSocket } from './dialing-socket.ts';
import { inNetns } from './netns.ts';

const kernel = skipIf(whyNoKernel());

for (const protocol of ['tcp', 'udp'] as const) {
  test(`a ${protocol} socket dials again and again, says where it got to, and sends nothing`, kernel, (t) => {
    inNetns(scratchNetns(t), () => {
      run('ip', 'route', 'add', '10.0.0.0/8', 'dev', 'lo', 'src', '127.0.0.1');
      const socket = new DialingSocket(protocol, 4);
      t.after(() => socket.close());
      for (const port of [80, 81, 80]) assert.deepEqual(socket.dial('10.0.0.1' as Address, port), { address: '10.0.0.1', port });
      assert.deepEqual(socket.dial('192.0.2.1' as Address, 80), { code: 'ENETUNREACH' });
      assert.deepEqual(socket.dial('127.0.0.1' as Address, 80), { address: '127.0.0.1', port: 80 });
      const six = new DialingSocket(protocol, 6);
      t.after(() => six.close());
      assert.deepEqual(six.dial('::1' as Address, 80), { address: '::1', port: 80 });
      assert.match(run('ip', '-s', 'link', 'show', 'lo'), /TX:.*\n\s+0 +0 /);
    });
  });
}
