import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import { until } from '#support/manifest-folder.ts';
import { endpoint, service, slice } from '#support/model-objects.ts';
import { Journal, type Snapshot } from './journal.ts';
import type { Entry } from './journal-entry.ts';

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-journal-'));
  path = join(dir, 'weir', 'one.journal');
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

const web = (port: number, key = 'ns1/web'): Entry => ({
  key,
  object: { kind: 'Service', key, value: service({ healthCheckNodePort: port }) },
});
const pods: Entry = {
  key: 'ns1/web-1',
  object: {
    kind: 'EndpointSlice',
    key: 'ns1/web-1',
    value: slice([
      endpoint('10.0.0.1', { nodeName: 'n1', pod: 'ns1/p', ready: false, hintZones: ['a'], hintNodes: ['n1', 'n2'] }),
      endpoint('10.0.0.2', { serving: false, terminating: true }),
    ]),
  },
};
const bad: Entry = { key: 'ns1/bad', object: undefined, said: { reason: 'invalid_object', messages: ['spec is wrong'] } };

/** A journal, its reports, and the objects for a rewrite. */
class Book {
  readonly notes: string[] = [];
  readonly problems: string[] = [];
  readonly journal: Journal;
  readonly known = new Map<ModelKind, { version: string | undefined; readonly entries: Map<string, Entry> }>([
    ['Service', { version: undefined, entries: new Map() }],
    ['EndpointSlice', { version: undefined, entries: new Map() }],
  ]);

  constructor(format = 'n1') {
    const note = (message: string): void => void this.notes.push(message);
    this.journal = new Journal({ path, format, note, problem: (message) => void this.problems.push(message) });
  }

  async begin(): Promise<this> {
    this.journal.begin('uid', () => this.snapshots());
    await until('it is written', () => this.journal.isOpen);
    return this;
  }

  write(kind: ModelKind, version: string | undefined, ...entries: readonly Entry[]): void {
    const snapshot = this.known.get(kind) ?? assert.fail();
    if (version !== undefined) snapshot.version = version || undefined;
    for (const entry of entries) {
      if (entry.object === undefined && entry.said === undefined) snapshot.entries.delete(entry.key);
      else snapshot.entries.set(entry.key, entry);
    }
    this.journal.write(kind, version, entries);
  }

  snapshots(): readonly Snapshot[] {
    return [...this.known].map(([kind, { version, entries }]) => ({ kind, version, entries: () => entries.values() }));
  }
}

/** What another agent reads: `kind version` and its entries. */
async function recalled(book = new Book()): Promise<Readonly<Record<string, readonly object[]>> | undefined> {
  const recollection = await book.journal.read();
  book.journal.close();
  if (recollection === undefined) return undefined;
  assert.equal(recollection.cluster, 'uid');
  return Object.fromEntries(
    [...recollection.snapshots.values()].map(({ kind, version, entries }) => [`${kind} ${version}`, [...entries()]]),
  );
}

const objects = (...entries: readonly Entry[]): object[] => entries.map(({ key, object, said }) => ({ key, object, said }));

test('the first objects and later changes are read again', async () => {
  const book = new Book();
  book.write('Service', '10', web(1), bad);
  book.write('EndpointSlice', '11', pods);
  await book.begin();
  book.write('Service', '12', web(2));
  book.write('Service', undefined, { key: 'ns1/bad' });
  assert.deepEqual(await recalled(), { 'Service 12': objects(web(2)), 'EndpointSlice 11': objects(pods) });
  assert.deepEqual([statSync(path).mode & 0o777, statSync(join(dir, 'weir')).mode & 0o777], [0o600, 0o700]);
  assert.deepEqual(readdirSync(join(dir, 'weir')), ['one.journal']);
});

test('a reader adds to what it has read', async () => {
  (await new Book().begin()).write('Service', '10', web(1));
  const second = new Book();
  await second.journal.read();
  second.write('Service', '11', bad);
  assert.deepEqual(await recalled(), { 'Service 11': objects(web(1), bad), 'EndpointSlice undefined': [] });
});

test('a version that is unknown cannot be gone on from, and a kind that is forgotten has no entries', async () => {
  const book = await new Book().begin();
  book.write('Service', '10', web(1));
  book.write('EndpointSlice', '10', pods);
  book.write('Service', '');
  book.journal.forget('EndpointSlice');
  assert.deepEqual(await recalled(), { 'Service undefined': objects(web(1)), 'EndpointSlice undefined': [] });
});

test('wherever a file is cut or damaged, it yields a state that once held', async () => {
  const book = await new Book().begin();
  const states = [JSON.stringify(await recalled())];
  for (const [i, entry] of [bad, web(2), { key: 'ns1/bad' }].entries()) {
    book.write('Service', String(20 + i), entry);
    states.push(JSON.stringify(await recalled()));
  }
  book.journal.close();
  const whole = readFileSync(path);
  const seen = new Set<string>();
  for (let at = 0; at < whole.length; at += 3) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] as number) ^ 0x10;
    for (const bytes of [whole.subarray(0, at), flipped]) {
      writeFileSync(path, bytes);
      const state = JSON.stringify(await recalled());
      seen.add(state);
      // Within the file's beginning: the kinds have no version yet, or nothing counts
      assert.ok(state === undefined || states.includes(state) || !/ \d+"/.test(state), `${at}: ${state}`);
    }
  }
  for (const state of states.slice(0, -1)) assert.ok(seen.has(state), state);
});

test('what stands behind damage is cut off before anything is added', async () => {
  const book = await new Book().begin();
  book.write('Service', '10', web(1));
  const { length } = readFileSync(path);
  book.write('Service', '11', web(2));
  book.journal.close();
  writeFileSync(path, readFileSync(path).subarray(0, -1));
  const second = new Book();
  await second.journal.read();
  assert.match(
    second.notes.join(),
    new RegExp(`Resuming from the journal of an earlier agent, .*one.journal, which ends within a record after ${length} bytes$`),
  );
  second.write('EndpointSlice', '12', pods);
  second.journal.close();
  assert.deepEqual(await recalled(), { 'Service 10': objects(web(1)), 'EndpointSlice 12': objects(pods) });
});

for (const [what, text, says] of [
  ['empty', '', /is damaged from its beginning: listing everything from the API server/],
  ['something else', 'apiVersion: v1\n', /is damaged from its beginning/],
] as const) {
  test(`a file that is ${what} counts for nothing and is said once`, async () => {
    mkdirSync(join(dir, 'weir'));
    writeFileSync(path, text);
    const book = new Book();
    assert.equal(await recalled(book), undefined);
    assert.match(book.notes.join('\n'), says);
    assert.equal(book.notes.length + book.problems.length, 1);
  });
}

test('another format counts for nothing; no file is nothing to speak of', async () => {
  const fresh = new Book();
  assert.deepEqual([await recalled(fresh), fresh.notes, fresh.problems], [undefined, [], []]);
  (await new Book().begin()).write('Service', '10', web(1));
  const other = new Book('n2');
  assert.equal(await recalled(other), undefined);
  assert.match(other.notes.join(), /is of another build of weir or of another node: listing everything from the API server/);
});

test('an old file counts for nothing, nor does one of a time to come', async () => {
  for (const minutes of [-10, 10]) {
    (await new Book().begin()).journal.close();
    const time = Date.now() / 1000 + minutes * 60;
    utimesSync(path, time, time);
    const book = new Book();
    assert.equal(await recalled(book), undefined);
    assert.deepEqual([book.notes.length, existsSync(path)], [1, false]);
    assert.match(book.notes.join(), /was not written to in the last 5 minutes: listing everything from the API server/);
  }
});

test('what cannot be read is said with its reason', async () => {
  mkdirSync(path, { recursive: true });
  const book = new Book();
  assert.equal(await recalled(book), undefined);
  assert.match(book.problems.join(), /^Cannot read .*one.journal: EISDIR.*Listing everything from the API server$/);
});

test('a folder that cannot be made is said once, and nothing is written', async () => {
  writeFileSync(join(dir, 'weir'), '');
  const book = new Book();
  book.write('Service', '10', web(1));
  book.journal.begin('uid', () => book.snapshots());
  book.write('Service', '11', web(2));
  book.journal.begin('uid', () => book.snapshots());
  assert.equal(book.problems.length, 1);
  assert.match(book.problems.join(), /^Cannot write .*one.journal: .*The next agent will ask the API server for everything$/);
});

test('when there is no room any more nothing is left, because it would grow old', async () => {
  const book = await new Book().begin();
  symlinkSync('/dev/full', `${path}.new`);
  const large = service({ name: 'x'.repeat(1 << 16) });
  const object: ModelObject = { kind: 'Service', key: 'ns1/web', value: large };
  for (let i = 0; book.problems.length === 0; i++) book.write('Service', String(i), { key: 'ns1/web', object });
  assert.match(book.problems.join(), /no space left/);
  assert.deepEqual([existsSync(path), existsSync(`${path}.new`), book.journal.isOpen], [false, false, false]);
});

test('what changes while all is written the first time is not lost', async () => {
  const book = new Book();
  for (let i = 0; i < 200; i++) book.write('Service', '1', web(i, `ns1/s${i}`));
  const written = book.begin();
  book.write('Service', '2', web(1000, 'ns1/s0'), { key: 'ns1/s1' }, { key: 'ns1/s199' });
  await written;
  const read = (await recalled())?.['Service 2'] ?? [];
  assert.equal(read.length, 198);
  assert.ok(JSON.stringify(read).includes(JSON.stringify(objects(web(1000, 'ns1/s0'))[0])));
});

test('a file that has grown is written anew while changes go on, and none of them is lost', async () => {
  const book = new Book();
  for (let i = 0; i < 500; i++) book.write('Service', '1', web(i, `ns1/s${i}`));
  await book.begin();
  const large = 'z'.repeat(1000);
  let largest = 0;
  for (let i = 0; i < 5000; i++) {
    const said = { reason: 'object_warning', messages: [`${i}${large}`] };
    book.write('Service', String(1000 + i), { ...web(i, `ns1/s${i % 700}`), said }, { key: `ns1/s${(i * 7) % 700}` });
    if (i % 10 === 0) await new Promise(setImmediate);
    largest = Math.max(largest, statSync(path).size);
  }
  const { entries } = book.known.get('Service') ?? assert.fail();
  assert.ok(largest < 4 << 20, `${largest} bytes`);
  const [read] = Object.values((await recalled()) ?? {});
  const sorted = (all: readonly object[]): string[] => all.map((entry) => JSON.stringify(entry)).sort();
  assert.ok(sorted(read ?? []).join() === sorted(objects(...entries.values())).join());
});

test('a file that has grown before everything is known is given up, and written when it is', async () => {
  (await new Book().begin()).journal.close();
  const book = new Book();
  await book.journal.read();
  const value = service({ name: 'x'.repeat(100_000) });
  for (let i = 0; i < 20; i++) book.write('Service', `${i}`, { key: 'ns1/web', object: { kind: 'Service', key: 'ns1/web', value } });
  assert.deepEqual([existsSync(path), book.problems], [false, []]);
  await book.begin();
  assert.deepEqual(Object.keys((await recalled()) ?? {}), ['Service 19', 'EndpointSlice undefined']);
});

test('a file does not grow from one agent to the next either', async () => {
  const large = service({ name: 'x'.repeat(100_000) });
  for (let i = 0; i < 20; i++) {
    const book = new Book();
    for (const snapshot of (await book.journal.read())?.snapshots.values() ?? []) book.write(snapshot.kind, '1', ...snapshot.entries());
    await book.begin();
    const entry: Entry = { key: 'ns1/web', object: { kind: 'Service', key: 'ns1/web', value: large } };
    for (let change = 0; change < 4; change++) book.write('Service', `${change + 1}`, entry);
    await new Promise((resolve) => setTimeout(resolve, 5));
    book.journal.close();
    assert.ok(statSync(path).size < 2 << 20, `${statSync(path).size} bytes after ${i} agents`);
  }
});
