/** A source that follows a server of other libraries. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import { success } from '#lib/result.ts';
import { createKpngSource } from '#sources/kpng/kpng-source.ts';
import type { KpngTimes } from '#sources/kpng/times.ts';
import { until } from '#support/manifest-folder.ts';
import { type Recorded, recordingSink } from '#support/recording-sink.ts';
import { endpoint, OtherServer, RESET, SYNC, service } from './other-server.ts';

const TIMES = { connectMs: 2000, syncMs: 60_000, firstMs: 5, maxMs: 20, resetMs: 120_000, confirmMs: 150 };

export interface Followed extends Recorded {
  readonly server: OtherServer;
  readonly notes: string[];
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A source that follows a server, which has got its first request. */
export async function followed(nodeName: string | undefined, times: Partial<KpngTimes> = {}): Promise<Followed> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-kpng-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'kpng.sock');
  const server = new OtherServer(path);
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

/** The same after a Service `cart` with an endpoint; what was recorded until then is forgotten. */
export async function followedCart(): Promise<Followed> {
  const all = await followed('n1');
  all.server.say(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'), endpoint('cart', 'c2', '10.0.0.2'), SYNC);
  await until('a second request', () => all.server.requests.length === 2);
  all.calls.splice(0);
  all.problems.splice(0);
  return all;
}

/** Addresses of the endpoints of a Service. */
export const addresses = ({ objects }: Followed, name = 'cart'): readonly string[] =>
  [...objects.values()]
    .flatMap((object) => (object.kind === 'EndpointSlice' && object.value.serviceName === name ? object.value.endpoints : []))
    .map(({ address }) => address)
    .sort();

/** The change set is over, and has been taken. */
export const next = async ({ server }: Followed): Promise<void> => {
  const { length } = server.requests;
  server.say(SYNC);
  await until('the next request', () => server.requests.length === length + 1);
};
