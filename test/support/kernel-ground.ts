import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { removeState } from '#kernel/bpf/cleanup.ts';
import { openDatapath } from '#kernel/bpf/datapath.ts';
import { listLinks } from '#kernel/netlink/links.ts';
import { findCgroupRoot, isBpffs } from '#kernel/node/mounts.ts';
import { inNetns } from '#kernel/node/netns.ts';
import type { Datapath } from '#reconcile/ports/datapath.ts';

/** The compiled datapath. */
export const objectsDir = new URL('../../dist/bpf', import.meta.url).pathname;

/** Why kernel tests cannot run here; undefined where they can. */
export const whyNoKernel = (): string | undefined => (process.geteuid?.() === 0 ? undefined : 'needs root');

/** The same for tests that load the datapath. */
export function whyNoDatapath(): string | undefined {
  if (!existsSync(`${objectsDir}/socket.bpf.o`) || !existsSync(`${objectsDir}/netfilter.bpf.o`)) return 'needs dist/bpf: run `make -C bpf`';
  return whyNoKernel() ?? (existsSync('/sys/kernel/btf/vmlinux') ? undefined : 'needs a kernel with BTF');
}

/** `node --test` option for either of the two. */
export const skipIf = (reason: string | undefined): { skip: string | false } => ({ skip: reason ?? false });

/** Runs a program and returns what it prints; throws where it fails. */
export function run(command: string, ...args: string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr || done.error || `status ${done.status}`}`);
  return done.stdout;
}

let made = 0;

const freshName = (): string => `weir-k${process.pid}-${made++}`;

/** A network namespace with `lo` up, for one test; returns its path. */
export function scratchNetns(t: TestContext): string {
  const name = freshName();
  run('ip', 'netns', 'add', name);
  t.after(() => run('ip', 'netns', 'delete', name));
  run('ip', '-netns', name, 'link', 'set', 'lo', 'up');
  return `/run/netns/${name}`;
}

/** A cgroup v2 folder for one test. */
export function scratchCgroup(t: TestContext): string {
  const dir = `${findCgroupRoot()}/${freshName()}`;
  mkdirSync(dir);
  t.after(() => rmdirSync(dir));
  return dir;
}

/** A state folder for one test, not made yet; whatever it holds in the end is removed. */
export function scratchState(t: TestContext): string {
  const dir = `/run/${freshName()}`;
  t.after(() => {
    if (isBpffs(dir)) removeState(dir);
    if (existsSync(dir)) rmdirSync(dir);
  });
  return dir;
}

/** Small arrays load faster. */
const SMALL = { slots: 1000, backends: 1000, affinity: 100, socket_flows: 100, frontends: 1000 };

/** The real programs with small tables. */
export const openSmall = (stateDir: string, mapSizes: Readonly<Record<string, number>> = {}): Datapath =>
  openDatapath({ objectsDir, stateDir, mapSizes: { ...SMALL, ...mapSizes }, conntrackMark: 0x2000, packetPath: 'netfilter' });

/** The same, closed after the test. */
export function openForTest(t: TestContext, mapSizes: Readonly<Record<string, number>> = {}): Datapath {
  const stateDir = scratchState(t);
  const datapath = openSmall(stateDir, mapSizes);
  t.after(() => datapath.close());
  return datapath;
}

/** Adds a veth pair inside a namespace; returns the index of the first. */
export function addVeth(netns: string, name: string, peer: string): number {
  return inNetns(netns, () => {
    run('ip', 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', peer);
    const link = listLinks().find((each) => each.name === name);
    if (link === undefined) throw new Error(`Cannot find device ${name}: it was made a moment ago`);
    return link.ifindex;
  });
}

/** Descriptors that this process has open. */
export const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** Runs `run` as a process of a cgroup, because a socket belongs to the cgroup of its creation. */
export function inCgroup<T>(cgroup: string, run: () => T): T {
  const enter = (folder: string) => writeFileSync(`${folder}/cgroup.procs`, `${process.pid}`);
  const [, home = ''] = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
  enter(cgroup);
  try {
    return run();
  } finally {
    enter(`${findCgroupRoot()}${home}`);
  }
}
