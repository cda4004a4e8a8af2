/** Flows of packets in the kernel's connection tracking: ports used again, races, fragments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '#lab/probe.ts';
import { conntrackEntries, fewer, inside, outcomes, raise, scaled } from './ground.ts';
import { AWAY, CLIENT, clusterIP, FAMILIES, HERE, nodeAddress, nodePort, numbered, podAddress, slices } from './objects.ts';
import { answer, assertPaths, tcp, udp, until, untilAnsweredBy } from './paths.ts';

const [BOTH, ONE, LATE] = [1, 2, 3];

const lab = await raise('f', {
  pods: [HERE, AWAY, CLIENT],
  objects: [
    ...[numbered('both', BOTH), ...slices({ of: 'both', pods: [HERE, AWAY] })],
    ...[numbered('one', ONE), ...slices({ of: 'one', pods: [AWAY] })],
  ],
  agentFlags: ['--socket-scope', 'host'],
});

test('a client that uses its port again and again is served each time, however the connection before ended', async () => {
  const rounds = fewer(300);
  // Without these the client's own kernel would not give the port out again at once.
  await lab.exec('outside', ['sh', '-c', 'echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets']);
  for (const family of FAMILIES) {
    const answers = await inside(lab, 'outside', connectAgain, nodeAddress('n1', family), nodePort(BOTH), rounds);
    const failures = Object.entries(answers).filter(([name]) => !name.startsWith('t/'));
    assert.deepEqual(failures, []);
    assert.deepEqual(Object.keys(answers).sort(), ['t/p1', 't/p2']);
  }
  assert.ok(((await outcomes(lab, 'n1')).packet_tuple_reused ?? 0) > rounds / 2);
});

/**
 * Connects from one port, receives the greeting, and ends the connection in one of three ways: who greeted, or what failed, how often.
 * EADDRNOTAVAIL says that the client's own kernel is not done with the connection before.
 */
async function connectAgain(address: string, port: number, rounds: number): Promise<Record<string, number>> {
  const { connect } = await import('node:net');
  const met: Record<string, number> = {};
  for (let i = 0; i < rounds; i++) {
    const socket = connect({ host: address, port, localPort: 9_900 });
    const { promise, resolve } = Promise.withResolvers<string>();
    const closed = new Promise((done) => socket.once('close', done));
    const timer = setTimeout(() => resolve('timeout'), 5000);
    socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? 'failed'));
    socket.once('data', (line) => resolve(JSON.parse(`${line}`).pod));
    const name = await promise;
    clearTimeout(timer);
    if (name === 'EADDRNOTAVAIL') {
      i--;
      await new Promise((later) => setTimeout(later, 1));
      continue;
    }
    met[name] = (met[name] ?? 0) + 1;
    if (i % 3 === 0) socket.resetAndDestroy();
    else if (i % 3 === 1) socket.destroy();
    else socket.end();
    await closed;
  }
  return met;
}

test('first packets of one flow on two CPUs at once make one flow, and both are answered', async () => {
  const rounds = fewer(150);
  for (const family of FAMILIES) {
    const answers = await inside(lab, 'outside', race, nodeAddress('n1', family), nodePort(BOTH), rounds);
    const torn = Object.entries(answers).filter(([, pods]) => pods.length !== 2 || pods[0] !== pods[1]);
    assert.deepEqual([Object.keys(answers).length, torn], [rounds, []]);
    assert.deepEqual([...new Set(Object.values(answers).flat())].sort(), ['t/p1', 't/p2']);
  }
  assert.equal((await outcomes(lab, 'n1')).packet_drop_conntrack, 0);
});

/** Two threads with sockets on one port send to one address at the same moment, from another port each round: round -> who answered. */
async function race(address: string, port: number, rounds: number): Promise<Record<number, string[]>> {
  const { Worker } = await import('node:worker_threads');
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const answers: Record<number, string[]> = {};
  const sender = async () => {
    const { workerData, parentPort } = process.getBuiltinModule('node:worker_threads');
    const { createSocket } = process.getBuiltinModule('node:dgram');
    const { once } = process.getBuiltinModule('node:events');
    const [started, answered] = [workerData.counts, workerData.counts.subarray(1)];
    for (let round = 1; round <= workerData.rounds; round++) {
      const socket = createSocket({ type: workerData.address.includes(':') ? 'udp6' : 'udp4', reuseAddr: true });
      socket.on('message', (message) => {
        Atomics.add(answered, 0, 1);
        parentPort?.postMessage({ round, pod: JSON.parse(`${message}`).pod });
      });
      socket.bind(10_000 + round);
      await once(socket, 'listening');
      socket.connect(workerData.port, workerData.address);
      await once(socket, 'connect');
      Atomics.add(started, 0, 1);
      for (let spins = 0; Atomics.load(started, 0) < 2 * round; spins++) if (spins > 100_000) Atomics.wait(started, 0, 2 * round - 1, 1);
      socket.send('x');
      for (const end = Date.now() + 5000; Atomics.load(answered, 0) < 2 * round && Date.now() < end; ) await new Promise(setImmediate);
      socket.close();
      if (Atomics.load(answered, 0) < 2 * round) break;
    }
    parentPort?.postMessage({});
  };
  const workerData = { counts: new Int32Array(new SharedArrayBuffer(8)), address, port, rounds };
  let left = 2;
  for (let i = 0; i < 2; i++)
    new Worker(`(${sender})()`, { eval: true, workerData }).on('message', ({ round, pod }) => {
      if (round === undefined) return --left === 0 && resolve();
      answers[round] ??= [];
      answers[round].push(pod);
    });
  await done;
  return answers;
}

test('many clients at once are all served', async () => {
  const loads = [
    tcp(nodeAddress('n1'), nodePort(BOTH)),
    udp(nodeAddress('n1', 6), nodePort(BOTH)),
    tcp(nodeAddress('n1', 6), nodePort(ONE)),
  ];
  const reports = await Promise.all(
    loads.map(
      (target) => lab.load('outside', { target: { ...target, timeoutMs: scaled(5000) }, concurrency: 32, requests: fewer(400) }).done,
    ),
  );
  assert.deepEqual(
    reports.map(({ failures, answered }) => [failures, answered]),
    reports.map(() => [{}, fewer(400)]),
  );
});

test('conntrack shows a translated flow, with the mark of weir', async () => {
  await assertPaths(lab, [
    ['outside', tcp(nodeAddress('n1'), nodePort(ONE), { localPort: 9_000 }), answer(nodeAddress('n1'), 'p2')],
    ['outside', udp(nodeAddress('n1', 6), nodePort(ONE), { localPort: 9_001 }), answer(nodeAddress('n1', 6), 'p2')],
    ['t/p9', tcp(clusterIP(ONE), 80, { localPort: 9_002 }), answer(podAddress(CLIENT), 'p2')],
  ]);
  const flow = async (protocol: string, port: number, ...family: string[]): Promise<string> => {
    const filter = ['-p', protocol, '--orig-port-src', `${port}`, '--mark', '0x2000/0x2000', ...family];
    const [line = '', ...others] = await conntrackEntries(lab, 'n1', ...filter);
    assert.deepEqual(others, []);
    return line;
  };
  assert.match(
    await flow('tcp', 9_000),
    /src=203\.0\.113\.2 dst=192\.0\.2\.11 .*dport=30002 src=10\.244\.2\.2 dst=192\.0\.2\.11 sport=8080 /,
  );
  assert.match(
    await flow('udp', 9_001, '-f', 'ipv6'),
    /src=2001:db8:1::2 dst=fd00:2::11 .*dport=30002 src=fd00:244:0:2::2 dst=fd00:2::11 sport=8081 /,
  );
  assert.match(await flow('tcp', 9_002), /src=10\.244\.1\.9 dst=10\.96\.0\.2 .*dport=80 src=10\.244\.2\.2 dst=10\.244\.1\.9 sport=8080 /);
});

test('a client that asked before there was a Service, or an endpoint, is answered on the same socket as soon as there is', async () => {
  const loud = (target: Target) => lab.hold('outside', { target: { ...target, unconnected: true }, everyMs: 5 });
  const early = loud(udp(nodeAddress('n1'), nodePort(LATE)));
  await until(
    'the client is under way',
    async () => (await conntrackEntries(lab, 'n1', '-p', 'udp', '--orig-port-dst', `${nodePort(LATE)}`)).length > 0,
  );
  lab.writeManifest('late.json', [numbered('late', LATE), ...slices({ of: 'late', pods: [] })]);
  await untilRefused();
  await sleep(scaled(100));
  lab.writeManifest('late.json', [numbered('late', LATE), ...slices({ of: 'late', pods: [AWAY] })]);
  await untilAnsweredBy(lab, 't/p9', udp(clusterIP(LATE), 80), 'p2');
  await sleep(scaled(300));
  const { answered } = await early.stop();
  assert.ok(answered > 0, `${answered} answers`);
});

const untilRefused = (): Promise<void> =>
  until(
    'the Service is there',
    async () => (await lab.dial('t/p9', udp(clusterIP(LATE), 80, { timeoutMs: scaled(100) }))).outcome === 'refused',
  );

test('a large datagram passes in fragments, a large request in many segments, both ways [fragments]', async () => {
  for (const family of FAMILIES)
    for (const [from, address, port] of [
      ['outside', nodeAddress('n1', family), nodePort(BOTH)],
      ['t/p9', clusterIP(BOTH, family), 80],
    ] as const) {
      assert.deepEqual(await inside(lab, from, askMuch, address, port, 20_000, 500_000), [20_000, 500_000], `${from} to ${address}`);
    }
});

/** How much comes back of a datagram and of a line of these sizes, as the first packets of their flows. */
async function askMuch(address: string, port: number, datagram: number, line: number): Promise<number[]> {
  const { createSocket } = await import('node:dgram');
  const { connect } = await import('node:net');
  const { createInterface } = await import('node:readline');
  const overUdp = new Promise<number>((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (message) => resolve(JSON.parse(`${message}`).echo.length));
    socket.send('x'.repeat(datagram), port, address);
    setTimeout(resolve, 10_000, 0).unref();
  });
  const overTcp = new Promise<number>((resolve) => {
    const socket = connect(port, address, () => socket.write(`${'x'.repeat(line)}\n`));
    createInterface({ input: socket }).on('line', (text) => 'echo' in JSON.parse(text) && resolve(JSON.parse(text).echo.length));
    setTimeout(resolve, 10_000, 0).unref();
  });
  return Promise.all([overUdp, overTcp]);
}
