/** Who is let in, with certificates that openssl has made. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { readTlsFiles } from '#grpc/tls-files.ts';
import type { Target } from '#lib/target.ts';
import { createKpngSource } from '#sources/kpng/kpng-source.ts';
import { createAuthority, type Pair, workFolder } from '#support/certificates.ts';
import { until } from '#support/manifest-folder.ts';
import { recordingSink } from '#support/recording-sink.ts';
import { afterwards, OtherClient, type Served, served } from './served.ts';

const ours = createAuthority();
const foreign = createAuthority();
const server = ours.issue('/CN=kpng', 'IP:127.0.0.1,DNS:localhost');

const N1 = { NodeName: 'n1', Extended: true };

async function freePort(): Promise<Target> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('There is no port');
  return { type: 'tcp', host: '127.0.0.1', port: address.port };
}

async function servedByTls(verifyNodeNames: boolean): Promise<Served> {
  const all = await served({ target: await freePort(), tls: { ...server, ca: ours.ca }, verifyNodeNames });
  all.sink.synced();
  all.sink.complete();
  return all;
}

const dial = (all: Served, pair: Pair | undefined): OtherClient =>
  new OtherClient({
    ...all,
    tls: credentials.createSsl(Buffer.from(ours.ca), pair ? Buffer.from(pair.key) : null, pair ? Buffer.from(pair.cert) : null),
  });

test('a client with a certificate of the authority is let in, one without or of another authority is not', async () => {
  const all = await servedByTls(false);
  assert.deepEqual(await dial(all, ours.issue('/CN=anybody', 'DNS:anybody')).next(N1), ['reset', 'sync']);
  for (const pair of [undefined, foreign.issue('/CN=system:node:n1', 'DNS:n1'), ours.issue('/CN=late', 'DNS:late', -1)]) {
    const client = dial(all, pair);
    client.ask(N1);
    assert.match(await client.end(), /^14 /);
    assert.deepEqual(client.items, []);
  }
  for (const reason of [
    /^peer did not return a certificate$/,
    /^its certificate is not accepted: UNABLE_TO/,
    /^its certificate is not accepted: CERT_HAS_EXPIRED$/,
  ])
    assert.ok(
      all.refused.some((line) => reason.test(line)),
      all.refused.join('\n'),
    );
  const plain = new OtherClient(all);
  plain.ask(N1);
  assert.match(await plain.end(), /^14 /);
});

test("with --verify-node-names a certificate must be the node's: by its common name as a kubelet's, or by a DNS name", async () => {
  const all = await servedByTls(true);
  for (const pair of [ours.issue('/O=system:nodes/CN=system:node:n1', 'DNS:x'), ours.issue('/CN=x', 'DNS:y,DNS:n1')])
    assert.deepEqual(await dial(all, pair).next(N1), ['reset', 'sync']);
  for (const [pair, is] of [
    [ours.issue('/CN=system:node:n2', 'DNS:n2'), 'system:node:n2, n2'],
    [ours.issue('/CN=n1', 'DNS:n11'), 'n1, n11'],
    [ours.issue('/CN=z', '@all\n[all]\nDNS.1 = "x, DNS:n1, y"\nURI.1 = "urn:x, DNS:n1, y"\nDNS.2 = n3'), 'z, n3'],
  ] as const) {
    const client = dial(all, pair);
    client.ask(N1);
    assert.equal(await client.end(), `7 the certificate names ${is}, must name node n1`);
    assert.deepEqual(client.items, []);
  }
  assert.equal(all.refused.length, 3);
});

test('who only looks whether the port is open is not told of as refused', async () => {
  const all = await servedByTls(false);
  assert.ok(all.target.type === 'tcp');
  const probe = connect(all.target.port, all.target.host);
  await once(probe, 'connect');
  probe.end();
  await once(probe, 'close');
  const other = connect(all.target.port, all.target.host, () => other.write('GET / HTTP/1.0\r\n\r\n'));
  other.on('error', () => {});
  await until('told', () => all.refused.length > 0);
  assert.deepEqual(all.refused, ['http request']);
});

/** An agent's source with these files. */
function follow(target: Target, pair: Pair, ca: string) {
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
  afterwards(() => source.stop());
  return { ...recorded, write };
}

test('an agent follows by mutual TLS, and says what is wrong with certificates; new files count at the next try', async () => {
  const all = await servedByTls(true);
  const node = ours.issue('/CN=system:node:n1', 'DNS:n1');
  await until('synced', () => follow(all.target, node, ours.ca) !== undefined);
  const other = follow(all.target, ours.issue('/CN=system:node:n2', 'DNS:n2'), ours.ca);
  await until('told', () => other.problems.length > 0);
  assert.match(
    other.problems[0] ?? '',
    /^kpng_refused: Cannot follow KPNG server SERVER: permission denied: the certificate names system:node:n2, n2, must name node n1/,
  );
  other.write(node);
  await until('synced', () => other.calls.includes('synced'));
  const wary = follow(all.target, node, foreign.ca);
  await until('told', () => wary.problems.length > 0);
  assert.match(
    wary.problems[0] ?? '',
    /: the server's certificate is not signed by --tls-ca \(\w+\)\. Nothing is served until this is solved; retrying$/,
  );
  const late = follow(all.target, ours.issue('/CN=late', 'DNS:n1', -1), ours.ca);
  await until('told', () => late.problems.length > 0);
  assert.match(late.problems[0] ?? '', /closed without an answer: does the server accept our certificate \(CN=late, valid until /);
  const broken = follow(all.target, { ...node, key: server.key }, ours.ca);
  await until('told', () => broken.problems.length > 0);
  assert.match(broken.problems[0] ?? '', /Cannot use certificate .*tls.crt with key .*tls.key: key values mismatch/);
});

test('certificates that have changed are used for those who come after', async () => {
  const all = await servedByTls(false);
  const node = ours.issue('/CN=system:node:n1', 'DNS:n1');
  all.server.useTls({ ...foreign.issue('/CN=kpng', 'IP:127.0.0.1'), ca: ours.ca });
  const wary = follow(all.target, node, ours.ca);
  await until('told', () => wary.problems.length > 0);
  assert.match(wary.problems[0] ?? '', /not signed by --tls-ca/);
  all.server.useTls({ ...server, ca: ours.ca });
  await until('synced', () => wary.calls.includes('synced'));
});
