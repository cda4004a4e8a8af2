/** Authentication by mutual TLS, with certificates made by openssl. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { readTlsFiles } from '#grpc/tls-files.ts';
import type { GrpcTarget } from '#lib/target.ts';
import { createKpngSource } from '#sources/kpng/kpng-source.ts';
import { createAuthority, type Pair, workFolder } from '#support/certificates.ts';
import { until } from '#support/manifest-folder.ts';
import { recordingSink } from '#support/recording-sink.ts';
import { GrpcJsClient, onTestEnd, type RunningServer, startServer } from './running-server.ts';

const ours = createAuthority();
const foreign = createAuthority();
const server = ours.issue('/CN=kpng', 'IP:127.0.0.1,DNS:localhost');

const N1 = { NodeName: 'n1', Extended: true };

async function freePort(): Promise<GrpcTarget> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('Cannot find a free port');
  return { type: 'tcp', host: '127.0.0.1', port: address.port };
}

async function startTlsServer(verifyNodeNames: boolean): Promise<RunningServer> {
  const running = await startServer({ target: await freePort(), tls: { ...server, ca: ours.ca }, verifyNodeNames });
  running.sink.synced();
  running.sink.complete();
  return running;
}

const dial = (running: RunningServer, pair: Pair | undefined): GrpcJsClient =>
  new GrpcJsClient({
    ...running,
    tls: credentials.createSsl(Buffer.from(ours.ca), pair ? Buffer.from(pair.key) : null, pair ? Buffer.from(pair.cert) : null),
  });

test('a client with a certificate of the authority is served; without one, or with one of another authority, it is refused', async () => {
  const running = await startTlsServer(false);
  assert.deepEqual(await dial(running, ours.issue('/CN=any', 'DNS:any')).next(N1), ['reset', 'sync']);
  for (const pair of [undefined, foreign.issue('/CN=system:node:n1', 'DNS:n1'), ours.issue('/CN=late', 'DNS:late', -1)]) {
    const client = dial(running, pair);
    client.request(N1);
    assert.match(await client.end(), /^14 /);
    assert.deepEqual(client.items, []);
  }
  for (const reason of [
    /^peer did not return a certificate$/,
    /^its certificate is not accepted: UNABLE_TO/,
    /^its certificate is not accepted: CERT_HAS_EXPIRED$/,
  ])
    assert.ok(
      running.refused.some((line) => reason.test(line)),
      running.refused.join('\n'),
    );
  const plain = new GrpcJsClient(running);
  plain.request(N1);
  assert.match(await plain.end(), /^14 /);
});

test("with --verify-node-names a certificate must be the node's: by its common name as a kubelet's, or by a DNS name", async () => {
  const running = await startTlsServer(true);
  for (const pair of [ours.issue('/O=system:nodes/CN=system:node:n1', 'DNS:x'), ours.issue('/CN=x', 'DNS:y,DNS:n1')])
    assert.deepEqual(await dial(running, pair).next(N1), ['reset', 'sync']);
  for (const [pair, is] of [
    [ours.issue('/CN=system:node:n2', 'DNS:n2'), 'system:node:n2, n2'],
    [ours.issue('/CN=n1', 'DNS:n11'), 'n1, n11'],
    [ours.issue('/CN=z', '@all\n[all]\nDNS.1 = "x, DNS:n1, y"\nURI.1 = "urn:x, DNS:n1, y"\nDNS.2 = n3'), 'z, n3'],
  ] as const) {
    const client = dial(running, pair);
    client.request(N1);
    assert.equal(await client.end(), `7 the certificate names ${is}, must name node n1`);
    assert.deepEqual(client.items, []);
  }
  assert.equal(running.refused.length, 3);
});

test('a port probe is not reported as refused', async () => {
  const running = await startTlsServer(false);
  assert.ok(running.target.type === 'tcp');
  const probe = connect(running.target.port, running.target.host);
  await once(probe, 'connect');
  probe.end();
  await once(probe, 'close');
  const other = connect(running.target.port, running.target.host, () => other.write('GET / HTTP/1.0\r\n\r\n'));
  other.on('error', () => {});
  await until('a refusal', () => running.refused.length > 0);
  assert.deepEqual(running.refused, ['http request']);
});

/** The source of an agent with these TLS files. */
function follow(target: GrpcTarget, pair: Pair, ca: string) {
  const dir = workFolder();
  const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key'), ca: join(dir, 'ca.crt') };
  const write = (next: Pair): void => {
    writeFileSync(files.cert, next.cert);
    writeFileSync(files.key, next.key);
    writeFileSync(files.ca, ca);
  };
  write(pair);
  const recorded = recordingSink((message) => message.replaceAll(/127.0.0.1:\d+|localhost:\d+/g, 'SERVER'));
  const times = { connectMs: 2000, syncMs: 60_000, firstMs: 5, maxMs: 20, resetMs: 120_000, confirmMs: 60_000 };
  const source = createKpngSource({ target, readTls: () => readTlsFiles(files), nodeName: 'n1', times });
  source.start(recorded.sink);
  onTestEnd(() => source.stop());
  return { ...recorded, write };
}

test('an agent follows with mutual TLS and reports certificate errors; the next attempt uses new files', async () => {
  const running = await startTlsServer(true);
  const node = ours.issue('/CN=system:node:n1', 'DNS:n1');
  await until('synced', () => follow(running.target, node, ours.ca) !== undefined);
  const other = follow(running.target, ours.issue('/CN=system:node:n2', 'DNS:n2'), ours.ca);
  await until('a problem', () => other.problems.length > 0);
  assert.match(
    other.problems[0] ?? '',
    /^kpng_refused: Cannot follow KPNG server SERVER: permission denied: the certificate names system:node:n2, n2, must name node n1/,
  );
  other.write(node);
  await until('synced', () => other.calls.includes('synced'));
  const wary = follow(running.target, node, foreign.ca);
  await until('a problem', () => wary.problems.length > 0);
  assert.match(
    wary.problems[0] ?? '',
    /: the server's certificate is not signed by --tls-ca \(\w+\)\. Nothing is served until this is solved; trying again$/,
  );
  const late = follow(running.target, ours.issue('/CN=late', 'DNS:n1', -1), ours.ca);
  await until('a problem', () => late.problems.length > 0);
  assert.match(late.problems[0] ?? '', /closed without an answer: does the server accept our certificate \(CN=late, valid until /);
  const broken = follow(running.target, { ...node, key: server.key }, ours.ca);
  await until('a problem', () => broken.problems.length > 0);
  assert.match(broken.problems[0] ?? '', /Cannot use certificate .*tls.crt with key .*tls.key: key values mismatch/);
});

test('changed certificates apply to new connections', async () => {
  const running = await startTlsServer(false);
  const node = ours.issue('/CN=system:node:n1', 'DNS:n1');
  running.server.useTls({ ...foreign.issue('/CN=kpng', 'IP:127.0.0.1'), ca: ours.ca });
  const wary = follow(running.target, node, ours.ca);
  await until('a problem', () => wary.problems.length > 0);
  assert.match(wary.problems[0] ?? '', /not signed by --tls-ca/);
  running.server.useTls({ ...server, ca: ours.ca });
  await until('synced', () => wary.calls.includes('synced'));
});
