import { setTimeout as sleep } from 'node:timers/promises';
import type { Hold, HoldReport, Load, LoadReport, Seen, Target } from './probe.ts';
import { dial, elapsed } from './probe-dial.ts';
import { converse } from './probe-socket.ts';

/** Dials again and again, until the number is reached or the signal comes. */
export async function load({ target, concurrency, requests = Number.POSITIVE_INFINITY }: Load, stop: AbortSignal): Promise<LoadReport> {
  const start = performance.now();
  const seen: Seen[] = [];
  let begun = 0;
  const next = (): Target => {
    const localPort = target.localPort && target.localPort + begun;
    begun++;
    return localPort === undefined ? target : { ...target, localPort };
  };
  const worker = async () => {
    while (begun < requests && !stop.aborted) seen.push(await dial(next()));
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return report(seen, elapsed(start));
}

function report(seen: readonly Seen[], ms: number): LoadReport {
  const answered = seen.flatMap((one) => (one.outcome === 'answered' ? [one.answeredBy] : []));
  const failures = seen.flatMap((one) => (one.outcome === 'answered' ? [] : [one.outcome === 'failed' ? one.code : one.outcome]));
  return {
    ms,
    requests: seen.length,
    answered: answered.length,
    failures: tally(failures),
    answeredBy: tally(answered),
    slowestMs: seen.reduce((slowest, one) => Math.max(slowest, one.ms), 0),
  };
}

const tally = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));

/** Keeps one connection, or one connected UDP socket, and sends a message at each interval until the signal is aborted. */
export async function hold({ target, everyMs }: Hold, stop: AbortSignal): Promise<HoldReport> {
  const pods: string[] = [];
  const stopped = new AbortController();
  let brokenBy: string | undefined;
  const conversation = converse(target, {
    ready: () => {},
    answer: ({ pod, echo }) => {
      if (echo !== undefined) pods.push(pod);
    },
    broken: (code) => {
      brokenBy ??= code;
      stopped.abort();
    },
  });
  const signal = AbortSignal.any([stop, stopped.signal]);
  let sent = 0;
  while (await passes(everyMs, signal)) conversation.say(`${sent++}`);
  // The last answers may still be on their way.
  for (const end = performance.now() + LAST_ANSWER_MS; !brokenBy && pods.length < sent && performance.now() < end; ) await sleep(10);
  conversation.close();
  return { sent, answered: pods.length, answeredBy: tally(pods), ...(brokenBy && { brokenBy }) };
}

const LAST_ANSWER_MS = 3000;

const passes = (ms: number, signal: AbortSignal): Promise<boolean> => sleep(ms, true, { signal }).catch(() => false);
