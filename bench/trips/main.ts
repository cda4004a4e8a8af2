/**
 * Counts the files, rooms and functions of src that run for three trips: the first start of an agent, one more endpoint, and a restart from the
 * journal. `--root FOLDER` measures another checkout, `--list FILE` writes the functions. Uses a lab of one node and the fake API server.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createLab } from '#lab/create-lab.ts';
import { bpffsDir, journalDir, nodeDir } from '#lab/paths.ts';
import { type Place, spawnAt } from '#lab/place.ts';
import { service } from '../../test/datapath/objects.ts';
import { NODE } from '../../test/scale/objects.ts';
import { endpoint, slice } from '../api/objects.ts';

const { values } = parseArgs({ options: { root: { type: 'string' }, list: { type: 'string' } } });
const root = resolve(values.root ?? join(import.meta.dirname, '../..'));
/** The fake API server lay in src once. */
const FAKE_SERVER = ['test/support/fake-api-server.ts', 'src/sources/api/test-api-server.ts']
  .map((path) => join(root, path))
  .find((path) => existsSync(path));
const SERVICES = 20;
const WAIT_MS = 30_000;

const ports = [{ name: 'http', protocol: 'TCP', port: 80 }] as const;
/** Its UID tells the cluster of a journal. */
const KUBERNETES = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'kubernetes', namespace: 'default', uid: '0b5c2a4e-1f6d-4c3b-9a8e-7d6f5e4c3b2a' },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ name: 'https', protocol: 'TCP', port: 443 }] },
};
const services = Array.from({ length: SERVICES }, (_, i) => service({ name: `s${i}`, clusterIPs: [`10.96.0.${i + 10}`], ports }));
/** A slice of each Service; the first has `count` endpoints. */
const slicesWith = (count: number): object[] =>
  Array.from({ length: SERVICES }, (_, i) =>
    slice(
      i,
      Array.from({ length: i === 0 ? count : 2 }, (__, e) => endpoint(i, e)),
    ),
  );

/** Waits until a condition holds. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + WAIT_MS; !holds(); await sleep(20)) if (Date.now() > end) throw new Error(`Waited ${WAIT_MS} ms: ${what}`);
}

/** The server at a place of the lab. */
async function serve(place: Place): Promise<{ readonly url: string; put(objects: readonly object[]): Promise<void>; stop(): void }> {
  const argv = [process.execPath, join(import.meta.dirname, 'server.ts'), FAKE_SERVER ?? ''];
  const child = spawnAt(place, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.stdout === null) throw new Error('Cannot read from the server: it has no standard output');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const url: string = (await lines.next()).value ?? '';
  return {
    url,
    async put(objects) {
      child.stdin?.write(`${JSON.stringify(objects)}\n`);
      await lines.next();
    },
    stop: () => child.stdin?.end(),
  };
}

/** An agent from the sources, with coverage. */
class CoveredAgent {
  readonly #place: Place;
  readonly #flags: readonly string[];
  readonly #file: string;
  #child: ChildProcess | undefined;
  log = '';

  constructor(place: Place, flags: readonly string[], file: string) {
    this.#place = place;
    this.#flags = flags;
    this.#file = file;
  }

  async start(): Promise<void> {
    this.log = '';
    const argv = [
      process.execPath,
      '--import',
      join(import.meta.dirname, 'coverage.ts'),
      join(root, 'src/cli/main.ts'),
      'run',
      ...this.#flags,
    ];
    this.#child = spawnAt(this.#place, argv, {
      env: { ...process.env, TRIP_FILE: this.#file, TRIP_ROOT: root },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => {
        this.log += text;
      });
    await until(`the agent is ready:\n${this.log}`, () => /Ready: /.test(this.log));
    await sleep(2000);
  }

  /** Functions that ran since the last call. */
  async take(): Promise<readonly string[]> {
    rmSync(this.#file, { force: true });
    this.#child?.kill('SIGUSR2');
    await until('the agent writes its coverage', () => existsSync(this.#file));
    return JSON.parse(readFileSync(this.#file, 'utf8'));
  }

  async stop(): Promise<void> {
    const exit = this.#child && once(this.#child, 'exit');
    this.#child?.kill();
    await exit;
  }
}

/** Counts by file and room; `functions` are lines of coverage.ts. */
function counted(functions: readonly string[]): { readonly files: number; readonly rooms: number; readonly functions: number } {
  const files = new Set(functions.map((line) => line.split(' ')[0] ?? ''));
  return { files: files.size, rooms: new Set([...files].map((file) => file.split('/')[0])).size, functions: functions.length };
}

async function measure(): Promise<Readonly<Record<string, readonly string[]>>> {
  const name = `trips${process.pid % 100_000}`;
  const lab = await createLab({ name, objects: [NODE], agents: false, serviceCidr: '10.96.0.0/16' });
  const place = lab.place('n1');
  mkdirSync(journalDir(name, 'n1'), { recursive: true });
  const folders = ['--state-dir', bpffsDir(name, 'n1'), '--journal-dir', journalDir(name, 'n1'), '--cgroup-root', place.cgroup];
  try {
    const server = await serve(place);
    const flags = ['--source', 'api', '--master', server.url, '--node-name', 'n1', '--cluster-cidr', '10.244.0.0/16', ...folders];
    const agent = new CoveredAgent(place, flags, join(nodeDir(name, 'n1'), 'coverage.json'));
    try {
      await server.put([NODE, KUBERNETES, ...services, ...slicesWith(2)]);
      await agent.start();
      const start = await agent.take();
      await server.put(slicesWith(3).slice(0, 1));
      await sleep(500);
      const endpoint = await agent.take();
      await sleep(500);
      await agent.stop();
      await server.put(slicesWith(2).slice(0, 1));
      await agent.start();
      const restart = await agent.take();
      if (!restart.some((line) => line.includes('#resume'))) throw new Error('Cannot measure a restart: the agent did not use its journal');
      return { 'first start': start, 'one more endpoint': endpoint, 'restart from the journal': restart };
    } finally {
      await agent.stop();
      server.stop();
    }
  } finally {
    await lab.down();
  }
}

const trips = await measure();
console.log('| Trip | Files | Rooms | Functions |\n|---|--:|--:|--:|');
for (const [trip, functions] of Object.entries(trips)) {
  const { files, rooms, functions: count } = counted(functions);
  console.log(`| ${trip} | ${files} | ${rooms} | ${count} |`);
}
if (values.list !== undefined) writeFileSync(values.list, `${JSON.stringify(trips, null, 1)}\n`);
