import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { addVeth, openSmall, run, scratchNetns, scratchState, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { CStruct, checked } from '../ffi/ffi.ts';
import { findCgroupRoot } from '../node/mounts.ts';
import { inNetns } from '../node/netns.ts';
import { BPF_TCX_INGRESS } from './device-links.ts';
import { exclusivePrograms, exclusiveText } from './exclusive-programs.ts';
import { libbpf } from './libbpf.ts';
import { programsAhead } from './programs-ahead.ts';
import { attachFilter } from './tc-filter.ts';

const kernel = skipIf(whyNoDatapath());

const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18;
const CONNECT4 = 10;
const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;
const BPF_F_ALLOW_OVERRIDE = 1;

/** `return 1` under a name; closed after the test. */
function loadForeign(t: TestContext, type: number, name: string, attachType = 0): number {
  const instructions = Buffer.from('b700000001000000' + '9500000000000000', 'hex');
  const fd = checked(libbpf.bpf_prog_load(type, name, 'GPL', instructions, 2, CStruct.sized(16).u32(12, attachType).bytes), 'load');
  t.after(() => closeSync(fd));
  return fd;
}

/** Whether this kernel has tcx: else foreign links cannot be tried. */
function linkTcx(t: TestContext, ifindex: number, name: string, flags: number): number | undefined {
  const options = CStruct.sized(16).u32(8, flags).bytes;
  const link = libbpf.bpf_link_create(loadForeign(t, BPF_PROG_TYPE_SCHED_CLS, name), ifindex, BPF_TCX_INGRESS, options);
  if (link < 0) return undefined;
  t.after(() => closeSync(link));
  return link;
}

test('a tcx program before ours is named with its position; one behind ours is not', kernel, (t) => {
  const [netns, stateDir] = [scratchNetns(t), scratchState(t)];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  const ifindex = addVeth(netns, 'a', 'b');
  inNetns(netns, () => {
    assert.deepEqual(datapath.programsAhead(ifindex), []);
    datapath.attachDevice(ifindex, 'own');
    if (linkTcx(t, ifindex, 'behind', BPF_F_AFTER) === undefined) return t.skip('this kernel has no tcx');
    assert.deepEqual(datapath.programsAhead(ifindex), []);
    linkTcx(t, ifindex, 'guard', BPF_F_BEFORE);
    linkTcx(t, ifindex, 'meter', BPF_F_BEFORE);
    assert.deepEqual(
      datapath.programsAhead(ifindex).map(({ hook, position, name, id }) => [hook, position, name, id > 0]),
      [
        ['tcx', 1, 'meter', true],
        ['tcx', 2, 'guard', true],
      ],
    );
    assert.deepEqual(datapath.programsAhead(ifindex + 100), []);
  });
});

/** A filter of other software; one with the priority of an earlier one runs before that. */
function addFilter(t: TestContext, ifindex: number, name: string, priority: number): void {
  const options = CStruct.sized(32)
    .u32(8, loadForeign(t, BPF_PROG_TYPE_SCHED_CLS, name))
    .u32(20, 5)
    .u32(24, priority).bytes;
  checked(libbpf.bpf_tc_attach(CStruct.sized(24).u32(8, ifindex).u32(12, 1).bytes, options), 'attach');
}

test('a clsact filter before ours is named with its position; one behind ours is not', kernel, (t) => {
  const netns = scratchNetns(t);
  const ifindex = addVeth(netns, 'a', 'b');
  const stateDir = '/run/weir-nowhere';
  inNetns(netns, () => {
    attachFilter(ifindex, loadForeign(t, BPF_PROG_TYPE_SCHED_CLS, 'ours'));
    addFilter(t, ifindex, 'behind', 2);
    assert.deepEqual(programsAhead(stateDir, ifindex), []);
    addFilter(t, ifindex, 'guard', 1);
    assert.deepEqual(
      programsAhead(stateDir, ifindex).map(({ hook, position, name, id }) => [hook, position, name, id > 0]),
      [['clsact', 1, 'guard', true]],
    );
  });
});

/** A cgroup folder and one in it, for one test. */
function nestedCgroups(t: TestContext): { readonly cgroup: string; readonly below: string } {
  const cgroup = `${findCgroupRoot()}/weir-n${process.pid}`;
  const below = `${cgroup}/below`;
  mkdirSync(below, { recursive: true });
  t.after(() => {
    rmdirSync(below);
    rmdirSync(cgroup);
  });
  return { cgroup, below };
}

/** Attaches a program to a cgroup folder without a link, until the test ends. */
function attachTo(t: TestContext, cgroup: string, program: number, flags: number): void {
  const fd = openSync(cgroup, 'r');
  t.after(() => closeSync(fd));
  checked(libbpf.bpf_prog_attach(program, fd, CONNECT4, flags), 'attach');
}

for (const [word, flags] of [
  ['exclusive', 0],
  ['overridable', BPF_F_ALLOW_OVERRIDE],
] as const)
  test(`an ${word} program at the cgroup or above keeps ours away, and the error names it`, kernel, (t) => {
    const [stateDir, { cgroup, below }] = [scratchState(t), nestedCgroups(t)];
    const datapath = openSmall(stateDir);
    t.after(() => datapath.close());
    attachTo(t, cgroup, loadForeign(t, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, 'guard', CONNECT4), flags);
    const text = new RegExp(`^program guard \\(id \\d+\\) at hook connect4 of ${cgroup}$`);
    assert.match(exclusivePrograms(cgroup).map(exclusiveText).join(), text);
    assert.throws(
      () => datapath.attachSockets(cgroup),
      /^Error: Cannot attach to .*: program guard \(id \d+\) at hook connect4 .* allows no other program$/,
    );
    assert.match(exclusivePrograms(below).map(exclusiveText).join(), text);
  });

test('an exclusive program in a cgroup below keeps ours from no process', kernel, (t) => {
  const [stateDir, { cgroup, below }] = [scratchState(t), nestedCgroups(t)];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  attachTo(t, below, loadForeign(t, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, 'guard', CONNECT4), 0);
  datapath.attachSockets(cgroup);
  const shown = JSON.parse(run('bpftool', '-j', 'cgroup', 'show', below, 'effective')) as { name: string }[];
  assert.deepEqual(
    shown.map(({ name }) => name).filter((name) => /^(guard|weir_connect4)$/.test(name)),
    ['guard', 'weir_connect4'],
  );
});
