import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { netnsPath } from './wiring.ts';

/** Where a process of the lab can live: a network namespace, and the cgroup of the node that this belongs to. */
export interface Place {
  readonly name: string;
  readonly netns: string;
  readonly cgroup: string;
}

/** The result of a command. `code` is 128 + number for a command that a signal ended, as in shells. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const JOIN_CGROUP = 'echo $$ >"$0" && exec "$@"';

/** Starts a command in a cgroup, in the caller's network namespace. */
export const spawnInCgroup = (cgroup: string, argv: readonly string[], options: SpawnOptions): ChildProcess =>
  spawn('/bin/sh', ['-c', JOIN_CGROUP, join(cgroup, 'cgroup.procs'), ...argv], options);

/** Starts a command in a place. Not `ip netns exec`: that one hides cgroups and bpffs under a fresh /sys. */
export const spawnAt = (place: Place, argv: readonly string[], options: SpawnOptions): ChildProcess =>
  spawnInCgroup(place.cgroup, ['nsenter', `--net=${netnsPath(place.netns)}`, '--', ...argv], options);

/** Waits for a child's end and collects what it printed to pipes. */
export function outcomeOf(child: ChildProcess, input = ''): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const text = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk) => {
    text.stderr += chunk;
  });
  child.on('error', reject);
  child.on('close', (code, signal) => resolve({ code: code ?? 128 + (signal ? signalNumber(signal) : 0), ...text }));
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return promise;
}

const signalNumber = (signal: NodeJS.Signals): number => constants.signals[signal];
