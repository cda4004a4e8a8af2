/** A KPNG source that follows a scripted server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import { success } from '#lib/result.ts';
import { createKpngSource } from '#sources/kpng/kpng-source.ts';
import type { KpngTimes } from '#sources/kpng/times.ts';
import { until } from '#support/manifest-folder.ts';
import { type Recorded, recordingSink } from '#support/recording-sink.ts';
import { endpoint, RESET, ScriptedServer, SYNC, service } from './scripted-server.ts';

const TIMES = { connectMs: 2000, syncMs: 60_000, firstMs: 5, maxMs: 20, resetMs: 120_000, confirmMs: 150 };

export interface RunningSource extends Recorded {
  readonly server: ScriptedServer;
  readonly notes: string[];
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Starts a source and its server; resolves when the server has received the first request. */
export async function startSource(nodeName: string | undefined, times: Partial<KpngTimes> = {}): Promise<RunningSource> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-kpng-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'kpng.sock');
  const server = new ScriptedServer(path);
  await server.start();
  cleanups.push(() => server.stop());
  const notes: string[] = [];
  const recorded = recordingSink((message) => message.replaceAll(`unix://${path}`, 'SERVER'));
  const source = createKpngSource({
    ...{ target: { type: 'unix', path }, readTls: () => success(undefined), nodeName, times: { ...TIMES, ...times } },
    note: (message) => void notes.push(message),
  });
  source.start(recorded.sink);
  cleanups.push(() => source.stop());
  await until('a request', () => server.requests.length === 1);
  return { ...recorded, server, notes };
}

/** A source that has received Service `cart` with two endpoints; earlier calls and problems are discarded. */
export async function startSourceWithCart(): Promise<RunningSource> {
  const running = await startSource('n1');
  running.server.send(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'), endpoint('cart', 'c2', '10.0.0.2'), SYNC);
  await until('a second request', () => running.server.requests.length === 2);
  running.calls.splice(0);
  running.problems.splice(0);
  return running;
}

/** Endpoint addresses of a Service. */
export const addresses = ({ objects }: RunningSource, name = 'cart'): readonly string[] =>
  [...objects.values()]
    .flatMap((object) => (object.kind === 'EndpointSlice' && object.value.serviceName === name ? object.value.endpoints : []))
    .map(({ address }) => address)
    .sort();

/** Sends Sync, and waits until the source has applied the change set. */
export const next = async ({ server }: RunningSource): Promise<void> => {
  const { length } = server.requests;
  server.send(SYNC);
  await until('the next request', () => server.requests.length === length + 1);
};
