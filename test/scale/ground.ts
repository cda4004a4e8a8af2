import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TableName } from '#abi/generated.ts';
import { readTables } from '#kernel/bpf/open-tables.ts';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { bpffsDir, WEIR } from '#lab/paths.ts';
import { NODE, type Pod, parked, SERVICE_CIDR } from './objects.ts';

/** One node with these pods and an agent that has not been started yet. */
export const oneNode = (name: string, pods: readonly Pod[]): Promise<Lab> =>
  createLab({ name: `${name}${process.pid % 100_000}`, objects: [NODE, ...parked(pods)], agents: false, serviceCidr: SERVICE_CIDR });

/** Kilobytes of `VmRSS` (now) or `VmHWM` (most so far) of the node's agent. */
export function memoryOf(lab: Lab, field: 'VmRSS' | 'VmHWM', node = 'n1'): number {
  const status = readFileSync(`/proc/${lab.agent(node).pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? assert.fail(status));
}

/** Waits for something that must come true, looking often. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>, atMostMs = 30_000): Promise<void> {
  for (const end = Date.now() + atMostMs; !(await isTrue()); await sleep(20)) {
    if (Date.now() > end) assert.fail(`Waited ${atMostMs / 1000} s: ${what}`);
  }
}

/** What `weir dump` of the node prints as JSON. */
export async function dump(lab: Lab): Promise<{ frontends: { service: string; frontend: string; localSource: string[] }[] }> {
  const { code, stdout, stderr } = await lab.exec('n1', [WEIR, 'dump', '--state-dir', bpffsDir(lab.topology.name, 'n1'), '-o', 'json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Writes by table that the agent has logged (`-v 2`) since its log had `from` characters. */
export function writesSince(lab: Lab, from: number): Record<string, number> {
  const writes: Record<string, number> = {};
  for (const [, facts] of lab
    .agent('n1')
    .log.slice(from)
    .matchAll(/Wrote tables (.*)/g)) {
    for (const [, table = '', count] of facts?.matchAll(/(\w+)=(\d+)/g) ?? []) writes[table] = (writes[table] ?? 0) + Number(count);
  }
  return writes;
}

/** Entries of the tables that hold Services, as texts. */
export function tableTexts(lab: Lab): Set<string> {
  const tables = readTables(bpffsDir(lab.topology.name, 'n1')) ?? assert.fail('no tables');
  const names: readonly TableName[] = ['frontends', 'addresses', 'slots', 'backends', 'services'];
  try {
    return new Set(names.flatMap((name) => tables.dump(name).map((entry) => `${name} ${JSON.stringify(entry)}`)));
  } finally {
    tables.close();
  }
}

/** How many texts came and went from one look at the tables to the next. */
export const difference = (before: ReadonlySet<string>, after: ReadonlySet<string>): { appeared: number; disappeared: number } => ({
  appeared: [...after].filter((text) => !before.has(text)).length,
  disappeared: [...before].filter((text) => !after.has(text)).length,
});
