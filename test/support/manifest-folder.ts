import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createManifestSource } from '#sources/manifests/manifest-source.ts';
import { type Recorded, recordingSink } from './recording-sink.ts';

/**
 * A manifest source on a real folder, for tests, and what reached the sink since the last `forget`, the folder's path written as `D`. It and the
 * folder go after each test.
 */
export interface Watched extends Recorded {
  readonly dir: string;
  readonly notes: string[];
  write(name: string, ...objects: readonly (object | string)[]): void;
  forget(): void;
  stop(): Promise<void>;
}

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Waits for a condition, and fails after a bound that no machine needs. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await sleep(5)) {
    if (performance.now() > end) assert.fail(`Never came true: ${what}`);
  }
}

/** Longer than everything that waits for something else to happen, with rescans of 50 ms. */
export const aWhile = (): Promise<void> => sleep(400);

/** A folder that goes after the test. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-manifests-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Content of a file with these documents. */
export const textOf = (objects: readonly (object | string)[]): string =>
  objects.map((object) => (typeof object === 'string' ? object : JSON.stringify(object))).join('\n---\n');

/** A source that has synced unless `sync` is false; `files` stand there from the start. */
export async function watched(
  files: Readonly<Record<string, readonly (object | string)[]>> = {},
  options: { dir?: string; rescanMs?: number; sync?: false } = {},
): Promise<Watched> {
  const dir = options.dir ?? temporaryFolder();
  for (const [name, objects] of Object.entries(files)) writeFileSync(join(dir, name), textOf(objects));
  const notes: string[] = [];
  const short = (message: string): string => message.replaceAll(dir, 'D');
  const { sink, calls, problems, missed, objects } = recordingSink(short);
  const source = createManifestSource({ dir, rescanMs: options.rescanMs ?? 50, note: (message) => notes.push(short(message)) });
  cleanups.push(() => source.stop());
  source.start(sink);
  if (options.sync !== false) await until('synced', () => calls.includes('synced'));
  return {
    dir,
    calls,
    problems,
    notes,
    missed,
    objects,
    write: (name, ...content) => writeFileSync(join(dir, name), textOf(content)),
    forget: () => {
      for (const list of [calls, problems, notes]) list.splice(0);
    },
    stop: () => source.stop(),
  };
}

/** A Service of namespace shop. */
export function service(name: string, port = 80): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec: { clusterIP: '10.96.0.1', ports: [{ port }] } };
}

/** An EndpointSlice of the Service of that name. */
export function slice(name: string, labels: object = { 'kubernetes.io/service-name': name }): object {
  const metadata = { name: `${name}-1`, namespace: 'shop', labels };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata,
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'] }],
    ports: [{ port: 80 }],
  };
}

/** Port of a Service as it was delivered last. */
export const portOf = ({ objects }: Watched, name: string): number | undefined => {
  const object = objects.get(`Service shop/${name}`);
  return object?.kind === 'Service' ? object.value.ports[0]?.port : undefined;
};
