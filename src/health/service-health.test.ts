import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '#lib/address.ts';
import { createHealthBook, type HealthBook } from '#support/health-book.ts';
import { inOwnNetns } from '#support/own-netns.ts';
import { createServiceHealth, type ServiceHealth } from './service-health.ts';

const PORT = 31051;
const HERE = '127.0.0.1' as Address;
const checks = (localEndpoints: number, port = PORT) => [{ family: 4, port, localEndpoints }] as const;

interface Answered {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function ask(host: string, port: number, agent?: Agent): Promise<Answered> {
  const call = request({ host, port, agent: agent ?? false }).end();
  const [response]: [IncomingMessage] = (await once(call, 'response')) as [IncomingMessage];
  const body = (await response.toArray()).join('');
  return { status: response.statusCode, headers: response.headers, body };
}

/** Result of a request: a status or an error code. */
const resultOf = (host: string, port = PORT): Promise<number | string | undefined> =>
  ask(host, port).then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => error.code,
  );

async function untilResult(expected: number | string, host: string = HERE, port = PORT): Promise<void> {
  for (const end = performance.now() + 20_000; (await resultOf(host, port)) !== expected; await sleep(5))
    if (performance.now() > end) assert.fail(`${host}:${port} never returns ${expected}, it returns ${await resultOf(host, port)}`);
}

inOwnNetns(import.meta.filename, () => {
  const said: string[] = [];
  let isHealthy = true;
  let wanted: HealthBook;
  let health: ServiceHealth = fresh();
  afterEach(() => {
    health.close();
    said.length = 0;
    isHealthy = true;
    health = fresh();
  });

  function fresh(): ServiceHealth {
    wanted = createHealthBook();
    wanted.listenAt([HERE]);
    return createServiceHealth(wanted, {
      isProxyHealthy: () => isHealthy,
      problem: (message) => said.push(message),
      note: (message) => said.push(message),
    });
  }

  /** A connection that sends `text`, and a promise of its end. */
  function callWith(text: string): { socket: Socket; closed: Promise<unknown> } {
    const socket = connect(PORT, HERE, () => socket.write(text));
    socket.on('error', () => {});
    return { socket, closed: new Promise((resolve) => socket.on('close', resolve)) };
  }

  async function serve(localEndpoints: number): Promise<void> {
    wanted.want('t/web', checks(localEndpoints));
    health.follow();
    await untilResult(localEndpoints > 0 ? 200 : 503);
  }

  test('a Service with ready endpoints on this node is healthy, as kube-proxy reports it [hcnp-ready]', async () => {
    await serve(2);
    const { status, headers, body } = await ask(HERE, PORT);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-load-balancing-endpoint-weight'], '2');
    assert.deepEqual(JSON.parse(body), { service: { namespace: 't', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true });
  });

  test('no ready endpoint on this node is 503, and so is an unhealthy proxy [hcnp-ready]', async () => {
    await serve(0);
    assert.equal((await ask(HERE, PORT)).headers['x-load-balancing-endpoint-weight'], '0');
    await serve(1);
    isHealthy = false;
    const { status, body } = await ask(HERE, PORT);
    assert.equal(status, 503);
    assert.deepEqual(JSON.parse(body), { service: { namespace: 't', name: 'web' }, localEndpoints: 1, serviceProxyHealthy: false });
  });

  test('an open connection receives the new answer once the kernel has the change', async () => {
    await serve(1);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal((await ask(HERE, PORT, agent)).status, 200);
    wanted.want('t/web', checks(0));
    assert.equal((await ask(HERE, PORT, agent)).status, 200);
    health.follow();
    assert.equal((await ask(HERE, PORT, agent)).status, 503);
    agent.destroy();
  });

  test('a closed port ends its idle and active connections, and can open again [hcnp-closes] [hcnp-reopens]', async () => {
    await serve(1);
    const callers = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'GET / HT'].map(callWith);
    await once(callers[0]?.socket ?? assert.fail(), 'data');
    wanted.want('t/web', []);
    health.follow();
    await Promise.all(callers.map(({ closed }) => closed));
    assert.equal(await resultOf(HERE), 'ECONNREFUSED');
    await serve(1);
    assert.deepEqual(said, []);
  });

  test('a Service with a new port closes the old one; ports of other Services stay open [hcnp-closes]', async () => {
    await serve(1);
    wanted.want('t/other', checks(1, PORT + 1));
    health.follow();
    await untilResult(200, HERE, PORT + 1);
    wanted.want('t/web', checks(1, PORT + 2));
    health.follow();
    await untilResult(200, HERE, PORT + 2);
    assert.deepEqual([await resultOf(HERE), await resultOf(HERE, PORT + 1)], ['ECONNREFUSED', 200]);
  });

  test('a port moves from one Service to another', async () => {
    await serve(1);
    wanted.want('t/next', checks(3));
    wanted.want('t/web', []);
    health.follow();
    await untilResult(200);
    assert.equal(JSON.parse((await ask(HERE, PORT)).body).service.name, 'next');
    assert.deepEqual(said, []);
  });

  test('a port in use is reported once and retried, and its opening is reported', async () => {
    const squatter = createServer().listen(PORT, HERE);
    await once(squatter, 'listening');
    wanted.want('t/web', checks(1));
    health.follow();
    await sleep(1200);
    wanted.want('t/web', checks(2));
    health.follow();
    const problem = `Cannot open spec.healthCheckNodePort ${PORT} of Service t/web at ${HERE}: another process listens there, the port should be free`;
    assert.deepEqual(said, [`${problem}; trying again every 1000 ms`]);
    squatter.close();
    await untilResult(200);
    assert.deepEqual(said.slice(1), [`Opened spec.healthCheckNodePort ${PORT} of Service t/web`]);
  });

  test('a port wanted and removed at once stays closed', async () => {
    wanted.want('t/web', checks(1));
    health.follow();
    wanted.want('t/web', []);
    health.follow();
    await sleep(50);
    assert.equal(await resultOf(HERE), 'ECONNREFUSED');
  });

  test('each family has its own answer at the zero addresses', async () => {
    wanted.listenAt(['0.0.0.0', '::'] as Address[]);
    wanted.want('t/web', [...checks(1), { family: 6, port: PORT, localEndpoints: 0 }]);
    health.follow();
    await untilResult(200, '127.0.0.2');
    await untilResult(503, '::1');
    wanted.want('t/web', checks(1));
    health.follow();
    assert.equal(await resultOf('::1'), 'ECONNREFUSED');
    assert.equal(await resultOf('127.0.0.2'), 200);
  });

  test('ports move with the addresses of the node', async () => {
    await serve(1);
    wanted.listenAt(['127.0.0.9'] as Address[]);
    health.follow();
    await untilResult(200, '127.0.0.9');
    assert.equal(await resultOf(HERE), 'ECONNREFUSED');
  });
});
