import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findCgroupRoot } from '#kernel/node/mounts.ts';
import { createLab } from '#lab/create-lab.ts';
import { type Lab, openLab } from '#lab/lab.ts';
import { labCgroup, labDir } from '#lab/paths.ts';
import { labExists, removeLab } from '#lab/removal.ts';

const SAMPLE = join(import.meta.dirname, '../fixtures/shop-cluster.yaml');

/** Names differ by process, so that runs do not meet. */
const NAME = `t${process.pid}`;
const CRASHED = `c${process.pid}`;

let lab: Lab;

before(async () => {
  lab = await createLab({ name: NAME, files: [SAMPLE], agents: false });
});

after(() => Promise.all([removeLab(NAME), removeLab(CRASHED)]));

test('every place reaches every server under its own address, and is seen under its own', async () => {
  const sources = ['n1', 'n2', 'n3', 'outside', ...lab.topology.pods.filter((pod) => pod.ownNetns).map((pod) => pod.name)];
  const servers = lab.topology.servers.filter(({ protocol }) => protocol !== 'SCTP');
  assert.equal(servers.length, 28);
  const tried = sources.map(async (from) => {
    const own = addressesAt(from);
    for (const { protocol, address, port, pod } of servers) {
      if (!own.some((candidate) => candidate.includes(':') === address.includes(':'))) continue;
      const seen = await lab.dial(from, { protocol: protocol === 'TCP' ? 'tcp' : 'udp', address, port, timeoutMs: 3000 });
      const path = `${from} to ${address}:${port}/${protocol}: ${JSON.stringify(seen)}`;
      assert.ok(seen.outcome === 'answered', path);
      assert.equal(seen.answeredBy, pod, path);
      const client = seen.client.replace(/:\d+$/, '').replace(/[[\]]/g, '');
      assert.ok(own.includes(client) || own.includes(address), path);
    }
  });
  await Promise.all(tried);
});

function addressesAt(name: string): readonly string[] {
  if (name === 'outside') return ['203.0.113.2', '2001:db8:1::2', '192.0.2.1', '192.0.2.10'];
  const { nodes, pods } = lab.topology;
  return [...nodes, ...pods].find((place) => place.name === name)?.addresses ?? assert.fail(name);
}

test('a port without a listener refuses, TCP and UDP', async () => {
  for (const protocol of ['tcp', 'udp'] as const) {
    assert.equal((await lab.dial('n1', { protocol, address: '10.244.2.95', port: 9 })).outcome, 'refused');
  }
});

test('an IPv4-mapped address dials IPv4 from an IPv6 socket', async () => {
  const seen = await lab.dial('n1', { protocol: 'tcp', address: '::ffff:10.244.2.95', port: 5432 });
  assert.ok(seen.outcome === 'answered');
  assert.equal(seen.peer, '[::ffff:10.244.2.95]:5432');
});

test('one unconnected UDP socket talks to several servers', async () => {
  const target = (address: string, port: number) => ({ protocol: 'udp' as const, address, port });
  const seen = await lab.exchange('ledger-0', [target('10.244.2.3', 53), target('192.0.2.12', 8125)]);
  assert.deepEqual(
    seen.map((one) => one.outcome === 'answered' && one.peer),
    ['10.244.2.3:53', '192.0.2.12:8125'],
  );
});

test('a load counts answers and failures', async () => {
  const target = { protocol: 'tcp', address: '10.244.2.95', port: 5432 } as const;
  const fine = await lab.load('n1', { target, concurrency: 4, requests: 50 }).done;
  assert.deepEqual([fine.requests, fine.answered, fine.answeredBy], [50, 50, { 'shop/ledger-0': 50 }]);
  const refused = await lab.load('n1', { target: { ...target, port: 9 }, concurrency: 2, requests: 5 }).done;
  assert.deepEqual([refused.answered, refused.failures], [0, { refused: 5 }]);
});

test('a held connection answers until it is stopped, and says what broke it', async () => {
  const target = { protocol: 'tcp', address: '10.244.2.95', port: 5432 } as const;
  const held = lab.hold('n1', { target, everyMs: 5 });
  await sleep(100);
  const report = await held.stop();
  assert.equal(report.brokenBy, undefined);
  assert.ok(report.sent > 0 && report.answered === report.sent, JSON.stringify(report));
  const broken = await lab.hold('n1', { target: { ...target, port: 9 }, everyMs: 5 }).done;
  assert.equal(broken.brokenBy, 'ECONNREFUSED');
});

test('a command runs in the namespace and the cgroup of its node, and its exit code comes back', async () => {
  const { code, stdout } = await lab.exec('ledger-0', ['sh', '-c', 'ip -o addr show eth0; tail -1 /proc/self/cgroup; exit 7']);
  assert.equal(code, 7);
  assert.match(stdout, /10\.244\.2\.95\/32/);
  assert.ok(stdout.endsWith(`0::/weir-${NAME}/n2\n`), stdout);
});

test('an unknown name is an error that lists the known ones', () => {
  assert.throws(() => lab.place('n9'), /There is no "n9".*it has: n1, n2, n3, outside, shop\/cart/);
});

test('a lab that stands can be opened, and not be raised twice', async () => {
  assert.equal((await openLab(NAME).exec('n1', ['true'])).code, 0);
  await assert.rejects(createLab({ name: NAME, files: [SAMPLE], agents: false }), /exists/);
  assert.equal((await lab.exec('n1', ['true'])).code, 0, 'it still stands');
});

test('nodes of different networks and families, and pods without a name, reach each other through the router', async () => {
  const node = (name: string, ...addresses: string[]) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  });
  const slice = (name: string, nodeName: string, address: string) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'a' },
    addressType: address.includes(':') ? 'IPv6' : 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 80 }],
    endpoints: [{ addresses: [address], nodeName }],
  });
  const objects = [
    node('a', '192.0.2.1', 'fd00:2::1'),
    node('b', '198.51.100.1', '34.0.0.1'),
    node('c', 'fd00:3::1'),
    ...[slice('s1', 'a', '10.0.1.1'), slice('s2', 'b', '10.0.2.1'), slice('s3', 'a', 'fd01::1'), slice('s4', 'c', 'fd01::2')],
  ];
  const other = await createLab({ name: CRASHED, objects, agents: false });
  try {
    for (const [from, address, client] of [
      ['10.0.1.1', '10.0.2.1', '10.0.1.1'],
      ['b', '10.0.1.1', '198.51.100.1'],
      ['fd01::1', 'fd01::2', '[fd01::1]'],
      ['c', 'fd01::1', '[fd00:3::1]'],
    ] as const) {
      const seen = await other.dial(from, { protocol: 'tcp', address, port: 80, timeoutMs: 3000 });
      assert.ok(seen.outcome === 'answered' && seen.client.startsWith(`${client}:`), `${from} to ${address}: ${JSON.stringify(seen)}`);
    }
  } finally {
    await other.down();
  }
});

test('what cannot be built leaves nothing', async () => {
  await assert.rejects(createLab({ name: CRASHED, objects: [{ apiVersion: 'v1', kind: 'Service' }] }), /no Node/);
  assertGone(CRASHED);
  await assert.rejects(createLab({ name: CRASHED, files: [SAMPLE], signal: AbortSignal.timeout(50) }), /aborted/);
  assertGone(CRASHED);
});

test('what a killed process leaves half built is removed by its name', async () => {
  for (const afterMs of [150, 300, 450, 600]) {
    const script = `import { createLab } from '#lab/create-lab.ts'; await createLab(${JSON.stringify({ name: CRASHED, files: [SAMPLE], agents: false })});`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore', cwd: import.meta.dirname });
    const exit = once(child, 'exit');
    await Promise.race([exit, sleep(afterMs)]);
    child.kill('SIGKILL');
    await exit;
    await removeLab(CRASHED);
    assertGone(CRASHED);
  }
});

test('down removes namespaces, processes, cgroups and folders, and can be repeated', async () => {
  const child = lab.spawn('n1', ['sleep', '600'], { stdio: 'ignore' });
  await once(child, 'spawn');
  await lab.down();
  assertGone(NAME);
  await lab.down();
});

function assertGone(name: string): void {
  assert.equal(labExists(name), false);
  assert.equal(existsSync(labDir(name)), false);
  assert.equal(existsSync(labCgroup(findCgroupRoot() ?? assert.fail(), name)), false);
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  assert.deepEqual(
    namespaces.filter((one) => one.startsWith(`weir-${name}-`)),
    [],
  );
}
