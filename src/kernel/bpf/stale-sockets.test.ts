import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { ADDRESS_FRONTENDS, BACKEND_CLUSTER_LIST, BACKEND_UNLISTED, type Frontend } from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import type { StaleReason, UdpFlow } from '#reconcile/flows/flows.ts';
import type { Datapath } from '#reconcile/ports/datapath.ts';
import { inCgroup, openDescriptors, openForTest, run, scratchCgroup, scratchNetns, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { checkedErrno } from '../ffi/ffi.ts';
import { libc, SOCK_CLOEXEC, SOCK_DGRAM } from '../ffi/libc.ts';
import { namespacesBelow } from '../node/namespaces.ts';
import { inNetns, netnsCookie } from '../node/netns.ts';
import { AF_INET, socketAddress } from '../node/socket-address.ts';
import { canEndSockets } from './stale-sockets.ts';

const kernel = skipIf(whyNoDatapath() ?? (canEndSockets() ? undefined : 'needs bpf_sock_destroy (Linux 6.5)'));

const SERVICE = '10.96.0.1' as Address;
const BACKEND = '127.0.0.1' as Address;
const BACKEND_ID = 7;

/** A Service of UDP port 53 with one backend. */
function serve(datapath: Datapath): void {
  const settings = { nodeNetnsCookie: netnsCookie(), flags: 0, conntrackMark: 1 << 28 };
  datapath.tables.put('settings', [{ key: { value: 0 }, value: { ...settings, snat4: ZERO_ADDRESS[4], snat6: ZERO_ADDRESS[6] } }]);
  setBackend(datapath, BACKEND_CLUSTER_LIST);
  datapath.tables.put('slots', [{ key: { value: 0 }, value: { backend: BACKEND_ID } }]);
  const extent = { first: 0, count: 1 };
  const value: Frontend = { localSource: extent, outsideSource: extent, service: 3, flags: 0, affinitySeconds: 0 };
  datapath.tables.put('addresses', [{ key: { address: SERVICE }, value: { flags: ADDRESS_FRONTENDS } }]);
  datapath.tables.put('frontends', [{ key: { address: SERVICE, port: 53, protocol: 17 }, value }]);
}

const setBackend = (datapath: Datapath, flags: number): void =>
  datapath.tables.put('backends', [{ key: { value: BACKEND_ID }, value: { address: BACKEND, port: 5353, flags, service: 3 } }]);

/** Sockets that are connected; then one line for each that is ended, until its input ends. */
const CLIENT = `
const { createSocket } = require('node:dgram');
const [address, port, count] = process.argv.slice(1);
let left = Number(count);
for (let i = 0; i < count; i++) {
  const socket = createSocket('udp4');
  socket.on('error', ({ code }) => console.log(code));
  socket.connect(Number(port), address, () => --left === 0 && console.log('connected'));
}
process.stdin.resume().on('end', () => process.exit());
`;

interface Client {
  /** The next line that it writes. */
  line(): Promise<string>;
  end(): Promise<unknown>;
}

type Place = { readonly netns: string; readonly cgroup: string };

/** A process in a namespace and a cgroup that has sockets connected to `target`. */
async function connect({ netns, cgroup }: Place, target: string, count = 1): Promise<Client> {
  const [address = '', port = ''] = target.split(':');
  const script = `echo $$ > ${cgroup}/cgroup.procs; exec "$0" -e "$1" "$2" "$3" "$4"`;
  const argv = [`--net=${netns}`, 'sh', '-c', script, process.execPath, CLIENT, address, port, `${count}`];
  const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const end = (): Promise<unknown> => {
    child.kill('SIGKILL');
    return exit;
  };
  const line = async (): Promise<string> => `${(await lines.next()).value}`;
  assert.equal(await line(), 'connected');
  return { line, end };
}

/** Runs `use` with clients, and ends them before the namespaces and cgroups go that they are in. */
async function withClients(use: (connectOne: typeof connect) => Promise<void>): Promise<void> {
  const clients: Client[] = [];
  try {
    await use(async (...given) => {
      const client = await connect(...given);
      clients.push(client);
      return client;
    });
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

const never = new AbortController().signal;

/** A datapath that serves a cgroup, and what ends sockets. */
function ground(t: TestContext) {
  const cgroup = scratchCgroup(t);
  const datapath = openForTest(t);
  const netns = scratchNetns(t);
  inNetns(netns, () => run('ip', 'route', 'add', 'local', `${SERVICE}/32`, 'dev', 'lo'));
  inNetns(netns, () => serve(datapath));
  datapath.attachSockets(cgroup);
  const opened = datapath.openSocketFlows(cgroup);
  assert.ok(opened.ok);
  t.after(() => opened.value.close());
  const end = async (isStale: (flow: UdpFlow) => boolean = () => true): Promise<UdpFlow[]> => {
    const ended: UdpFlow[] = [];
    const judge = (flow: UdpFlow): StaleReason | undefined => (isStale(flow) ? 'endpoint_gone' : undefined);
    await opened.value.endStaleUdp(judge, (flow) => ended.push(flow), never);
    return ended;
  };
  return { place: { netns, cgroup }, datapath, end };
}

test('a socket is shown when its backend is gone, and ended when it is called stale [udp-sockets-ended]', kernel, async (t) => {
  const { place, datapath, end } = ground(t);
  await withClients(async (client) => {
    const [served] = [await client(place, `${SERVICE}:53`), await client(place, `${BACKEND}:5353`)];
    const shown: UdpFlow[] = [];
    const look = (isStale: boolean) =>
      end((flow) => {
        shown.push(flow);
        return isStale;
      });
    assert.deepEqual(await look(true), []);
    setBackend(datapath, 0);
    assert.deepEqual(await look(false), []);
    const flow = { dialled: { address: SERVICE, port: 53 }, answering: { address: BACKEND, port: 5353 }, isOurs: true };
    assert.deepEqual(shown, [flow]);
    assert.deepEqual(await look(true), [flow]);
    assert.equal(await served?.line(), 'ECONNABORTED');
    assert.deepEqual(await look(true), []);
  });
});

/** A socket that no route leads to its second destination, so it stays with the first. */
function connectTwice({ netns, cgroup }: Place): number {
  const type = SOCK_DGRAM | SOCK_CLOEXEC;
  const socket = inCgroup(cgroup, () => inNetns(netns, () => checkedErrno(libc.socket(AF_INET, type, 0), 'open a socket')));
  const connect = (address: string): number => {
    const to = socketAddress(4, address as Address, 53);
    return libc.connect(socket, to, to.length);
  };
  assert.deepEqual([SERVICE, '203.0.113.1', '203.0.113.1'].map(connect), [0, -1, -1]);
  return socket;
}

test('a socket whose second connect failed is still ended with its backend [udp-sockets-ended]', kernel, async (t) => {
  const { place, datapath, end } = ground(t);
  await withClients(async (client) => {
    // A process of the namespace, for the sockets there to be looked at
    await client(place, `${BACKEND}:5353`);
    const socket = connectTwice(place);
    t.after(() => libc.close(socket));
    setBackend(datapath, 0);
    const flow = { dialled: { address: SERVICE, port: 53 }, answering: { address: BACKEND, port: 5353 }, isOurs: true };
    assert.deepEqual(await end(), [flow]);
  });
});

test('a socket whose backend drains is not shown [udp-endpoint-gone]', kernel, async (t) => {
  const { place, datapath, end } = ground(t);
  await withClients(async (client) => {
    await client(place, `${SERVICE}:53`);
    setBackend(datapath, BACKEND_UNLISTED);
    assert.deepEqual(await end(), []);
  });
});

test('more sockets than are ended at a time all end, and no descriptor stays', kernel, async (t) => {
  const { place, datapath, end } = ground(t);
  await withClients(async (client) => {
    await client(place, `${SERVICE}:53`, 1100);
    setBackend(datapath, 0);
    const before = openDescriptors();
    assert.equal((await end()).length, 1100);
    assert.deepEqual(await end(), []);
    assert.equal(openDescriptors(), before);
  });
});

test('namespaces are found by their processes, each once, also in cgroups below', kernel, async (t) => {
  const cgroup = scratchCgroup(t);
  const below = `${cgroup}/below`;
  mkdirSync(below);
  const [one, other, elsewhere] = [scratchNetns(t), scratchNetns(t), scratchNetns(t)];
  const cookie = (path: string): bigint => inNetns(path, netnsCookie);
  await withClients(async (client) => {
    await client({ netns: one, cgroup }, '127.0.0.1:1');
    await client({ netns: one, cgroup: below }, '127.0.0.1:1');
    await client({ netns: other, cgroup: below }, '127.0.0.1:1');
    const found = (await namespacesBelow(cgroup, never)).files.map(cookie);
    assert.deepEqual(new Set(found), new Set([cookie(one), cookie(other)]));
    assert.equal(found.length, 2);
    assert.ok(!found.includes(cookie(elsewhere)));
    assert.deepEqual(await namespacesBelow(`${cgroup}/gone`, never), { files: [], hidden: 0 });
  }).finally(() => rmdirSync(below));
});
