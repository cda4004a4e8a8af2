import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type TestContext, test } from 'node:test';
import { ADDRESS_CLUSTER_IP, OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT } from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import type { Datapath } from '#reconcile/ports/datapath.ts';
import {
  addVeth,
  objectsDir,
  openDescriptors,
  openSmall,
  run,
  scratchCgroup,
  scratchNetns,
  scratchState,
  skipIf,
  whyNoDatapath,
} from '#support/kernel-ground.ts';
import { inNetns, netnsCookie } from '../node/netns.ts';
import { pinnedLink } from './bpf-link.ts';
import { removeState } from './cleanup.ts';
import { openDatapath } from './datapath.ts';
import { pinnedMapId } from './maps.ts';
import { readTables } from './open-tables.ts';
import { mapFolders } from './state-folder.ts';

const kernel = skipIf(whyNoDatapath());

const CLUSTER_IP = '10.96.0.1' as Address;

/** A live ClusterIP without ports: the node whose namespace this is refuses its processes. */
function refuseClusterIP(datapath: Datapath, netns = '/proc/self/ns/net'): void {
  const node = { nodeNetnsCookie: inNetns(netns, netnsCookie), flags: 0, conntrackMark: 1 << 28 };
  datapath.tables.put('settings', [{ key: { value: 0 }, value: { ...node, snat4: ZERO_ADDRESS[4], snat6: ZERO_ADDRESS[6] } }]);
  datapath.tables.put('addresses', [{ key: { address: CLUSTER_IP }, value: { flags: ADDRESS_CLUSTER_IP } }]);
}

/** How a process of a cgroup fares that dials the ClusterIP in a namespace without routes. */
function dial(netns: string, cgroup: string): string {
  const script = `echo $$ > ${cgroup}/cgroup.procs; exec 3<>/dev/tcp/${CLUSTER_IP}/80`;
  const { stderr } = inNetns(netns, () => spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 10_000 }));
  return /Connection refused|Network is unreachable/.exec(stderr)?.[0] ?? stderr;
}

test('tables and their content are there again for the next agent', kernel, (t) => {
  const stateDir = scratchState(t);
  const first = openSmall(stateDir);
  assert.equal(first.adopted, false);
  refuseClusterIP(first);
  first.close();
  const second = openSmall(stateDir);
  t.after(() => second.close());
  assert.equal(second.adopted, true);
  assert.equal(second.tables.dump('addresses').length, 1);
});

test('sockets are served while an agent runs, after it, by the next one, and until cleanup', kernel, (t) => {
  const [netns, stateDir, cgroup] = [scratchNetns(t), scratchState(t), scratchCgroup(t)];
  const datapath = openSmall(stateDir);
  refuseClusterIP(datapath, netns);
  assert.equal(dial(netns, cgroup), 'Network is unreachable');
  datapath.attachSockets(cgroup);
  assert.equal(dial(netns, cgroup), 'Connection refused');
  datapath.close();
  assert.equal(dial(netns, cgroup), 'Connection refused');
  const next = openSmall(stateDir);
  next.attachSockets(cgroup);
  next.close();
  assert.equal(dial(netns, cgroup), 'Connection refused');
  const refused = readTables(stateDir)
    ?.dump('counters')
    .find((entry) => entry.key.value === OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT);
  assert.equal(refused?.value.count, 3n);
  removeState(stateDir);
  assert.equal(dial(netns, cgroup), 'Network is unreachable');
});

test('the next agent updates the links of the last one instead of making new ones', kernel, (t) => {
  const [netns, stateDir, cgroup] = [scratchNetns(t), scratchState(t), scratchCgroup(t)];
  const ifindex = addVeth(netns, 'a', 'b');
  const programs = () => readdirSync(`${stateDir}/links`).map((name) => pinnedLink(`${stateDir}/links/${name}`)?.programId);
  const attach = () => {
    const datapath = openSmall(stateDir);
    datapath.attachSockets(cgroup);
    inNetns(netns, () => datapath.attachDevice(ifindex, 'own'));
    datapath.close();
    return [programs(), linkIds(stateDir)];
  };
  const [oldPrograms, oldIds] = attach();
  const [newPrograms, newIds] = attach();
  // Without tcx (Linux before 6.6) there is none for the device.
  assert.ok(newPrograms && newPrograms.length >= 8);
  assert.ok(newPrograms.every((program) => !oldPrograms?.includes(program)));
  assert.deepEqual(newIds, oldIds);
});

const linkIds = (stateDir: string): number[] =>
  readdirSync(`${stateDir}/links`).map(
    (name) => JSON.parse(run('bpftool', '-j', 'link', 'show', 'pinned', `${stateDir}/links/${name}`)).id,
  );

test('sockets move to another cgroup, also to one of the same name that was made again', kernel, (t) => {
  const [netns, stateDir, cgroup, other] = [scratchNetns(t), scratchState(t), scratchCgroup(t), scratchCgroup(t)];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  refuseClusterIP(datapath, netns);
  datapath.attachSockets(cgroup);
  datapath.attachSockets(other);
  assert.deepEqual([dial(netns, cgroup), dial(netns, other)], ['Network is unreachable', 'Connection refused']);
  rmdirSync(other);
  mkdirSync(other);
  datapath.attachSockets(other);
  assert.equal(dial(netns, other), 'Connection refused');
  assert.throws(() => datapath.attachSockets('/proc'), { message: 'Cannot attach to /proc: it should be a cgroup v2 folder' });
});

test('devices are attached, attached anew, detached and attached at once again', kernel, (t) => {
  const [netns, stateDir] = [scratchNetns(t), scratchState(t)];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  const [a, c] = [addVeth(netns, 'a', 'b'), addVeth(netns, 'c', 'd')];
  inNetns(netns, () => {
    assert.deepEqual(datapath.attachedDevices(), []);
    datapath.attachDevice(a, 'own');
    datapath.attachDevice(a, 'port');
    datapath.attachDevice(c, 'own');
    assert.deepEqual(datapath.attachedDevices(), [a, c]);
    assert.equal(datapath.detachDevice(a), true);
    datapath.attachDevice(a, 'port');
    assert.deepEqual(datapath.attachedDevices(), [a, c]);
    assert.equal(datapath.detachDevice(a), true);
    assert.equal(datapath.detachDevice(a), false);
    assert.deepEqual(datapath.attachedDevices(), [c]);
  });
});

test('a device that is gone is forgotten, and its index serves another one', kernel, (t) => {
  const [netns, stateDir] = [scratchNetns(t), scratchState(t)];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  const old = addVeth(netns, 'a', 'b');
  inNetns(netns, () => {
    datapath.attachDevice(old, 'own');
    run('ip', 'link', 'delete', 'dev', 'a');
    run('ip', 'link', 'add', 'name', 'new', 'index', String(old), 'type', 'veth', 'peer', 'name', 'other');
    datapath.attachDevice(old, 'own');
    assert.deepEqual(datapath.attachedDevices(), [old]);
    run('ip', 'link', 'delete', 'dev', 'new');
    assert.deepEqual(datapath.attachedDevices(), []);
    assert.deepEqual(readdirSync(`${stateDir}/links`), []);
    assert.throws(() => datapath.attachDevice(old, 'own'), { code: 'ENODEV' });
  });
});

test('other sizes have tables of their own, and the old ones go once they are not used', kernel, (t) => {
  const [stateDir, cgroup] = [scratchState(t), scratchCgroup(t)];
  const old = openSmall(stateDir, { frontends: 50 });
  old.attachSockets(cgroup);
  old.close();
  const datapath = openSmall(stateDir, { frontends: 60 });
  t.after(() => datapath.close());
  assert.equal(datapath.adopted, false);
  assert.equal(readTables(stateDir)?.limit('frontends'), 50);
  datapath.attachSockets(cgroup);
  assert.equal(readTables(stateDir)?.limit('frontends'), 60);
  assert.equal(datapath.removeStaleStates().length, 1);
  assert.deepEqual(datapath.removeStaleStates(), []);
  assert.equal(readTables(stateDir)?.limit('frontends'), 60);
});

test('tables of other sizes inherit what flows wrote, as far as it fits, and nothing else', kernel, (t) => {
  const stateDir = scratchState(t);
  const old = openSmall(stateDir, { frontends: 50, socket_flows: 40 });
  const mapId = (name: string): number => pinnedMapId(`${stateDir}/${mapFolders(stateDir).at(0)}/${name}`) ?? 0;
  const [state, flows] = [mapId('socket_state'), mapId('socket_flows')];
  refuseClusterIP(old);
  old.close();
  for (const [sizes, flowsStay] of [
    [{ frontends: 60, socket_flows: 40 }, true],
    [{ frontends: 60, socket_flows: 30 }, false],
  ] as const) {
    const datapath = openSmall(stateDir, sizes);
    assert.equal(datapath.adopted, false);
    assert.equal(datapath.tables.dump('addresses').length, 0);
    datapath.removeStaleStates();
    assert.equal(mapId('socket_state'), state);
    assert.equal(mapId('socket_flows') === flows, flowsStay);
    datapath.close();
  }
});

test('tables are read without an agent; where there are none, there are none', kernel, (t) => {
  const stateDir = scratchState(t);
  assert.equal(readTables(stateDir), undefined);
  openSmall(stateDir).close();
  assert.equal(readTables(stateDir)?.limit('frontends'), 1000);
});

test("tables of another version's layout are distinguished from damaged ones", kernel, (t) => {
  const stateDir = scratchState(t);
  openSmall(stateDir).close();
  const [own] = mapFolders(stateDir);
  rmSync(`${stateDir}/${own}/frontends`);
  assert.throws(() => readTables(stateDir), { code: 'ENOENT' });
  rmSync(`${stateDir}/${own}`, { recursive: true });
  mkdirSync(`${stateDir}/0123456789abcdef-00000000`);
  assert.throws(() => readTables(stateDir), /its layout should be .*; another version of weir wrote it$/);
});

test('a half-made folder is completed', kernel, (t) => {
  const stateDir = scratchState(t);
  openSmall(stateDir).close();
  rmSync(`${stateDir}/${mapFolders(stateDir)[0]}/services`);
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  assert.deepEqual(datapath.tables.dump('services'), []);
});

test('cleanup says what it removes, and leaves nothing', kernel, (t) => {
  const [netns, stateDir, cgroup] = [scratchNetns(t), scratchState(t), scratchCgroup(t)];
  const ifindex = addVeth(netns, 'a', 'b');
  const datapath = openSmall(stateDir);
  datapath.attachSockets(cgroup);
  inNetns(netns, () => datapath.attachDevice(ifindex, 'own'));
  datapath.close();
  const lines = inNetns(netns, () => removeState(stateDir));
  assert.ok(lines.some((line) => /^Detached the packet program from device a( \(clsact\))?$/.test(line)));
  assert.equal(lines.filter((line) => line.startsWith('Detached socket program ')).length, 8);
  assert.deepEqual(lines.slice(-2), [`Removed folder ${stateDir}`, `Unmounted the bpffs at ${stateDir}`]);
  assert.equal(existsSync(stateDir), false);
  assert.deepEqual(removeState(stateDir), []);
});

function folderWith(t: TestContext, source: string | undefined): string {
  const dir = mkdtempSync(`${tmpdir()}/weir-`);
  t.after(() => rmSync(dir, { recursive: true }));
  if (source === undefined) return dir;
  writeFileSync(`${dir}/socket.bpf.c`, source);
  run('clang', '-O2', '-g', '-target', 'bpf', '-c', `${dir}/socket.bpf.c`, '-o', `${dir}/socket.bpf.o`);
  copyFileSync(`${objectsDir}/kfuncs.bpf.o`, `${dir}/kfuncs.bpf.o`);
  return dir;
}

/** Reads from address 0: section and return type as libbpf wants them, no header needed. */
const REFUSED_PROGRAM = `
__attribute__((section("cgroup/connect4"), used)) int weir_broken(void *ctx) { return *(volatile int *)(*(long *)ctx); }
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
`;

const clang = skipIf(whyNoDatapath() ?? (spawnSync('clang', ['--version']).error ? 'needs clang' : undefined));

test('a program that the verifier refuses is named, with the reason', clang, (t) => {
  const [stateDir, dir] = [scratchState(t), folderWith(t, REFUSED_PROGRAM)];
  const open = () => openDatapath({ objectsDir: dir, stateDir, mapSizes: {}, conntrackMark: 0x2000, packetPath: 'kfuncs' });
  assert.throws(
    open,
    /^Error: Cannot load program "weir_broken" of socket\.bpf\.o: permission denied \(EACCES\)\n[\s\S]*\n {2}invalid bpf_context access/,
  );
  const before = openDescriptors();
  assert.throws(open);
  assert.equal(openDescriptors(), before);
});

test('missing objects say how to get them', kernel, (t) => {
  const [stateDir, dir] = [scratchState(t), folderWith(t, undefined)];
  assert.throws(() => openDatapath({ objectsDir: dir, stateDir, mapSizes: {}, conntrackMark: 0x2000, packetPath: 'kfuncs' }), {
    message: `Cannot load ${dir}/socket.bpf.o: no such file; \`make -C bpf\` builds it`,
  });
});

test('opening and closing leaves no descriptor behind', kernel, (t) => {
  const [netns, stateDir, cgroup] = [scratchNetns(t), scratchState(t), scratchCgroup(t)];
  const ifindex = addVeth(netns, 'a', 'b');
  const life = () => {
    const datapath = openSmall(stateDir);
    datapath.attachSockets(cgroup);
    inNetns(netns, () => [datapath.attachDevice(ifindex, 'own'), datapath.attachedDevices()]);
    datapath.close();
    readTables(stateDir)?.close();
  };
  life();
  const before = openDescriptors();
  for (let i = 0; i < 3; i++) life();
  assert.equal(openDescriptors(), before);
});
