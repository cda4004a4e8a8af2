/** Clients that leave a connection half-open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { startServer } from './running-server.ts';

/** HTTP/2 connection preface with empty SETTINGS, and GOAWAY without an error (RFC 9113, 3.4, 6.5, 6.8). */
const HELLO = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('000000040000000000', 'hex')]);
const GOODBYE = Buffer.from('0000080700000000000000000000000000', 'hex');

test('a connection that the client leaves half-open after GOAWAY is destroyed after a timeout', async (t) => {
  const { target } = await startServer();
  assert.ok(target.type === 'unix');
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const socket = connect({ path: target.path, allowHalfOpen: true });
  socket.write(Buffer.concat([HELLO, GOODBYE]));
  socket.resume();
  await once(socket, 'end');
  t.mock.timers.tick(60_000);
  await new Promise((resolve) => setImmediate(resolve));
  socket.write('x');
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'EPIPE');
});

test('a server with a half-open connection stops', async () => {
  const { target, server } = await startServer();
  assert.ok(target.type === 'unix');
  const socket = connect({ path: target.path, allowHalfOpen: true });
  socket.write(Buffer.concat([HELLO, GOODBYE]));
  socket.resume();
  await once(socket, 'end');
  await server.stop();
  socket.destroy();
});
