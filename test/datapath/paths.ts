/** Paths through a lab, dialled and judged. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '#lab/lab.ts';
import type { Seen, Target } from '#lab/probe.ts';
import { hostPort } from '#lib/host-port.ts';
import { scaled } from './ground.ts';

/** Who may answer, and which client address the server sees. */
export interface Answer {
  readonly by: readonly string[];
  readonly client: string;
  /** Who the client believes to talk with; without it the address that it dialled. */
  readonly peer?: string;
}

export type Expected = Answer | 'refused' | 'dropped';

export type Path = readonly [from: string, target: Target, expected: Expected];

/** Whatever dials: a lab is one. */
export type Dials = Pick<Lab, 'dial'>;

/** An answer may take this long, and one that should not come is waited for this long. */
const ANSWER_MS = 5000;
const DROP_MS = 400;

export const tcp = (address: string, port: number, more: Partial<Target> = {}): Target => ({ protocol: 'tcp', address, port, ...more });
export const udp = (address: string, port: number, more: Partial<Target> = {}): Target => ({ protocol: 'udp', address, port, ...more });

/** `pods` are names without their namespace. */
export const answer = (client: string, ...pods: string[]): Answer => ({ by: pods.map((pod) => `t/${pod}`), client });

/** Dials all paths at the same time; fails with a line for each that is not as it should be. */
export async function assertPaths(dials: Dials, paths: readonly Path[]): Promise<void> {
  assert.ok(paths.length > 0);
  const lines = await Promise.all(paths.map((path) => tryPath(dials, path)));
  assert.deepEqual(
    lines.filter((line) => line !== ''),
    [],
  );
}

/** Empty for a path that is as it should be. */
async function tryPath(dials: Dials, [from, target, expected]: Path): Promise<string> {
  const seen = await dials.dial(from, { ...target, timeoutMs: scaled(expected === 'dropped' ? DROP_MS : ANSWER_MS) });
  if (isRight(seen, target, expected)) return '';
  return `${from} to ${hostPort(target.address, target.port)}/${target.protocol}: ${JSON.stringify(seen)}, should be ${JSON.stringify(expected)}`;
}

function isRight(seen: Seen, target: Target, expected: Expected): boolean {
  // A datagram that netfilter drops on its way out of its own machine is an error of sendmsg.
  if (expected === 'dropped') return seen.outcome === 'timeout' || (seen.outcome === 'failed' && seen.code === 'EPERM');
  if (expected === 'refused') return seen.outcome === 'refused';
  if (seen.outcome !== 'answered') return false;
  return (
    expected.by.includes(seen.answeredBy) &&
    hostOf(seen.client) === expected.client &&
    seen.peer === (expected.peer ?? hostPort(target.address, target.port))
  );
}

/** Address of a text such as `10.0.0.1:80` or `[fd00::1]:80`. */
export const hostOf = (text: string): string => text.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');

/** Pods that answered; fails if one of the questions was not answered. */
export function answeredBy(seen: readonly Seen[]): string[] {
  return seen.map((one, i) => (one.outcome === 'answered' ? one.answeredBy : assert.fail(`question ${i}: ${JSON.stringify(one)}`)));
}

/** Dials until the pod answers; changes of objects take a moment to reach the kernel. */
export async function untilAnsweredBy(dials: Dials, from: string, target: Target, pod: string): Promise<void> {
  await until(`${pod} answers ${from} at ${hostPort(target.address, target.port)}`, async () => {
    const seen = await dials.dial(from, { ...target, timeoutMs: scaled(ANSWER_MS) });
    return seen.outcome === 'answered' && seen.answeredBy === `t/${pod}`;
  });
}

/** Asks again and again until it is so; fails when it does not come. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + scaled(10_000);
  while (!(await isSo())) {
    if (Date.now() > deadline) assert.fail(`It did not happen that ${what}`);
    await sleep(20);
  }
}
