import type { Answer } from './echo.ts';
import { DEFAULT_TIMEOUT_MS, type Seen, type Target } from './probe.ts';
import { converse, type Listener } from './probe-socket.ts';

/** One question on a new socket: a TCP connect is answered by the server's greeting, UDP by the echo of a datagram. */
export function dial(target: Target): Promise<Seen> {
  const { promise, resolve } = Promise.withResolvers<Seen>();
  const question = startQuestion(target, (seen) => {
    conversation.close();
    resolve(seen);
  });
  const conversation = converse(target, {
    ...question,
    ready: () => {
      if (target.protocol === 'udp') conversation.say('ping');
    },
  });
  return promise;
}

/** Questions to several targets, one after the other, from one unconnected UDP socket; its options are the first target's. */
export async function exchange(targets: readonly Target[]): Promise<readonly Seen[]> {
  const [first] = targets;
  if (!first) return [];
  const { promise: ready, resolve: setReady } = Promise.withResolvers<void>();
  let listener: Omit<Listener, 'ready'> | undefined;
  const conversation = converse(
    { ...first, protocol: 'udp', unconnected: true },
    { ready: setReady, answer: (answer, peer) => listener?.answer(answer, peer), broken: (code) => listener?.broken(code) },
  );
  await ready;
  const seen: Seen[] = [];
  for (const [i, target] of targets.entries()) {
    const { promise, resolve } = Promise.withResolvers<Seen>();
    listener = startQuestion(target, resolve, `${i}`);
    conversation.say(`${i}`, target);
    seen.push(await promise);
  }
  conversation.close();
  return seen;
}

/** Times one question; calls `done` once, with the first of answer, error and time-out. Ignores answers to other texts. */
function startQuestion(target: Target, done: (seen: Seen) => void, text?: string): Omit<Listener, 'ready'> {
  const start = performance.now();
  let open = true;
  const finish = (seen: (ms: number) => Seen) => {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    done(seen(elapsed(start)));
  };
  const timer = setTimeout(() => finish((ms) => ({ outcome: 'timeout', ms })), target.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  return {
    answer: (answer, peer) => {
      if (text === undefined || answer.echo === text) finish((ms) => answered(answer, peer, ms));
    },
    broken: (code) => finish((ms) => (code === 'ECONNREFUSED' ? { outcome: 'refused', ms } : { outcome: 'failed', code, ms })),
  };
}

const answered = ({ pod, node, client, local }: Answer, peer: string, ms: number): Seen => ({
  outcome: 'answered',
  ms,
  answeredBy: pod,
  node,
  client,
  server: local,
  peer,
});

/** Milliseconds since a `performance.now()`, to the microsecond. */
export const elapsed = (start: number): number => Math.round((performance.now() - start) * 1000) / 1000;
