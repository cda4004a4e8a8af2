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

/** What a caller hears: a status or the name of an error. */
const heard = (host: string, port = PORT): Promise<number | string | undefined> =>
  ask(host, port).then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => error.code,
  );

async function untilHeard(expected: number | string, host: string = HERE, port = PORT): Promise<void> {
  for (const end = performance.now() + 20_000; (await heard(host, port)) !== expected; await sleep(5))
    if (performance.now() > end) assert.fail(`${host}:${port} never says ${expected}, it says ${await heard(host, port)}`);
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

  /** A connection that says something, and when it is over. */
  function callWith(text: string): { socket: Socket; closed: Promise<unknown> } {
    const socket = connect(PORT, HERE, () => socket.write(text));
    socket.on('error', () => {});
    return { socket, closed: new Promise((resolve) => socket.on('close', resolve)) };
  }

  async function serve(localEndpoints: number): Promise<void> {
    wanted.want('t/web', checks(localEndpoints));
    health.follow();
    await untilHeard(localEndpoints > 0 ? 200 : 503);
  }

  test('a Service with ready endpoints here is healthy, in the words of kube-proxy [hcnp-ready]', async () => {
    await serve(2);
    const { status, headers, body } = await ask(HERE, PORT);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-load-balancing-endpoint-weight'], '2');
    assert.deepEqual(JSON.parse(body), { service: { namespace: 't', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true });
  });

  test('nobody ready here is 503, and so is a proxy that is not healthy [hcnp-ready]', async () => {
    await serve(0);
    assert.equal((await ask(HERE, PORT)).headers['x-load-balancing-endpoint-weight'], '0');
    await serve(1);
    isHealthy = false;
    const { status, body } = await ask(HERE, PORT);
    assert.equal(status, 503);
    assert.deepEqual(JSON.parse(body), { service: { namespace: 't', name: 'web' }, localEndpoints: 1, serviceProxyHealthy: false });
  });

  test('an open connection hears of changes, once the kernel has them', async () => {
    await serve(1);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal((await ask(HERE, PORT, agent)).status, 200);
    wanted.want('t/web', checks(0));
    assert.equal((await ask(HERE, PORT, agent)).status, 200);
    health.follow();
    assert.equal((await ask(HERE, PORT, agent)).status, 503);
    agent.destroy();
  });

  test('a port that closes ends its connections, idle or in the middle of a request, and opens again [hcnp-closes] [hcnp-reopens]', async () => {
    await serve(1);
    const callers = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'GET / HT'].map(callWith);
    await once(callers[0]?.socket ?? assert.fail(), 'data');
    wanted.want('t/web', []);
    health.follow();
    await Promise.all(callers.map(({ closed }) => closed));
    assert.equal(await heard(HERE), 'ECONNREFUSED');
    await serve(1);
    assert.deepEqual(said, []);
  });

  test('a Service that gets another port leaves the old one, others stay as they are [hcnp-closes]', async () => {
    await serve(1);
    wanted.want('t/other', checks(1, PORT + 1));
    health.follow();
    await untilHeard(200, HERE, PORT + 1);
    wanted.want('t/web', checks(1, PORT + 2));
    health.follow();
    await untilHeard(200, HERE, PORT + 2);
    assert.deepEqual([await heard(HERE), await heard(HERE, PORT + 1)], ['ECONNREFUSED', 200]);
  });

  test('a port passes from one Service to another', async () => {
    await serve(1);
    wanted.want('t/next', checks(3));
    wanted.want('t/web', []);
    health.follow();
    await untilHeard(200);
    assert.equal(JSON.parse((await ask(HERE, PORT)).body).service.name, 'next');
    assert.deepEqual(said, []);
  });

  test('a port that is taken is told once, tried again, and told when it opens', async () => {
    const squatter = createServer().listen(PORT, HERE);
    await once(squatter, 'listening');
    wanted.want('t/web', checks(1));
    health.follow();
    await sleep(1200);
    wanted.want('t/web', checks(2));
    health.follow();
    const problem = `Cannot open spec.healthCheckNodePort ${PORT} of Service t/web at ${HERE}: somebody else listens there, it should be free`;
    assert.deepEqual(said, [`${problem}; trying again every 1000 ms`]);
    squatter.close();
    await untilHeard(200);
    assert.deepEqual(said.slice(1), [`Opened spec.healthCheckNodePort ${PORT} of Service t/web`]);
  });

  test('a port that opens and closes before anything happened stays closed', async () => {
    wanted.want('t/web', checks(1));
    health.follow();
    wanted.want('t/web', []);
    health.follow();
    await sleep(50);
    assert.equal(await heard(HERE), 'ECONNREFUSED');
  });

  test('each family answers for itself at the zero addresses', async () => {
    wanted.listenAt(['0.0.0.0', '::'] as Address[]);
    wanted.want('t/web', [...checks(1), { family: 6, port: PORT, localEndpoints: 0 }]);
    health.follow();
    await untilHeard(200, '127.0.0.2');
    await untilHeard(503, '::1');
    wanted.want('t/web', checks(1));
    health.follow();
    assert.equal(await heard('::1'), 'ECONNREFUSED');
    assert.equal(await heard('127.0.0.2'), 200);
  });

  test('ports follow the addresses of the node', async () => {
    await serve(1);
    wanted.listenAt(['127.0.0.9'] as Address[]);
    health.follow();
    await untilHeard(200, '127.0.0.9');
    assert.equal(await heard(HERE), 'ECONNREFUSED');
  });
});
