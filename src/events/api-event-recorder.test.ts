import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readAccess } from '#sources/api/access.ts';
import { refuse, type TestApiServer } from '#support/fake-api-server.ts';
import { QUICK, served, service } from '#support/followed-api-server.ts';
import { until } from '#support/manifest-folder.ts';
import { createApiEventRecorder } from './api-event-recorder.ts';
import type { EventRecorder, RecordedEvent } from './event-recorder.ts';

const WEB = { ...service('web'), metadata: { name: 'web', namespace: 'shop', uid: 'u-1' } };
const CONFLICT: RecordedEvent = { reason: 'AddressConflict', note: 'web lacks an address', service: 'shop/web' };
const FULL: RecordedEvent = { reason: 'ConntrackFull', note: 'The table is full' };

const recorders: EventRecorder[] = [];
afterEach(() => {
  for (const events of recorders.splice(0)) events.stop();
});

/** Records Events on a test server for a node; `lines`: its messages. */
function recording(server: TestApiServer, nodeName = 'n1') {
  const lines: string[] = [];
  const tell = (message: string): void => void lines.push(message.replaceAll(server.url, 'URL'));
  const access = { kubeconfig: undefined, master: server.url };
  const events = createApiEventRecorder({ readAccess: () => readAccess(access), nodeName, problem: tell, note: tell, times: QUICK });
  recorders.push(events);
  return { lines, events };
}

const notes = ({ events }: TestApiServer): string[] => events.created.map(({ note }) => note);
const untilCreated = (server: TestApiServer, count: number): Promise<void> =>
  until(`${count} Events, are ${JSON.stringify(notes(server))}`, () => server.events.created.length >= count);

test('an Event about the node has the name of the Node as uid, like Events of kube-proxy', async () => {
  const server = await served();
  recording(server).events.record({ reason: 'Starting', note: 'Starting weir' });
  await untilCreated(server, 1);
  const { metadata, eventTime, ...event } = server.events.created[0] ?? assert.fail();
  assert.equal(metadata.namespace, 'default');
  assert.ok(Math.abs(Date.parse(eventTime) - Date.now()) < 60_000, eventTime);
  assert.deepEqual(event, {
    ...{ apiVersion: 'events.k8s.io/v1', kind: 'Event', type: 'Normal', reason: 'Starting', action: 'StartWeir', note: 'Starting weir' },
    ...{ reportingController: 'weir', reportingInstance: 'n1', regarding: { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'n1' } },
  });
});

test('an Event about a Service has its uid and namespace, and says which node speaks', async () => {
  const server = await served([{ ...WEB, metadata: { ...WEB.metadata, namespace: 'other', uid: 'u-2' } }, WEB]);
  recording(server).events.record({ reason: 'TableFull', note: 'No room', service: 'shop/web' });
  await untilCreated(server, 1);
  const [event] = server.events.created;
  assert.deepEqual(event?.regarding, { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u-1' });
  assert.equal(event?.metadata.namespace, 'shop');
  assert.equal(event?.note, 'Node n1: No room');
});

test('what every node finds is one Event, what each finds for itself is one of each', async () => {
  const server = await served([WEB]);
  for (const node of ['n1', 'n2', 'n3']) {
    const { events, lines } = recording(server, node);
    events.record(CONFLICT);
    events.record({ ...CONFLICT, reason: 'TableFull' });
    await until('told', () => notes(server).includes(`Node ${node}: web lacks an address`));
    assert.deepEqual(lines, []);
  }
  assert.deepEqual(
    notes(server).filter((note) => note === CONFLICT.note),
    [CONFLICT.note],
  );
});

test('a repetition makes no other Event, nor does a Service that is gone', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  for (let i = 0; i < 3; i++) {
    events.record(FULL);
    await sleep(2);
  }
  events.record(CONFLICT);
  events.record({ ...FULL, note: 'last' });
  await untilCreated(server, 2);
  assert.deepEqual([notes(server), lines], [[FULL.note, 'last'], []]);
});

test('a note that is too long is cut to the bytes that an API server takes', async () => {
  const server = await served();
  recording(server, 'n'.repeat(200)).events.record({ ...FULL, note: 'ü'.repeat(2000) });
  await untilCreated(server, 1);
  assert.equal(notes(server)[0], `${'ü'.repeat(510)}...`);
});

test('a refusal is reported once, with the missing right, and so is the recovery', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  let posts = 0;
  server.fault = (_url, response) => ++posts > 0 && refuse(response, 403, 'no rights');
  for (let i = 0; i < 3; i++) events.record({ ...FULL, note: `${i}` });
  await until('three tries', () => posts === 3);
  server.fault = () => false;
  events.record(FULL);
  await untilCreated(server, 1);
  await until('two lines', () => lines.length === 2);
  assert.deepEqual(lines, [
    'Cannot send Events: API server URL answered 403 (no rights). Allow create on events of events.k8s.io, and list on services, to the user that ' +
      'it names. This log has their text',
    'Events arrive at the API server again',
  ]);
});

test('a server that is busy is asked again a few times; the next Event gets its own tries', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  let left = 2;
  server.fault = (_url, response) => left-- > 0 && refuse(response, 503, 'busy');
  events.record(FULL);
  await untilCreated(server, 1);
  left = Number.POSITIVE_INFINITY;
  events.record({ ...FULL, note: 'lost' });
  await until('a line', () => lines.length === 1);
  assert.match(lines[0] ?? '', /^Cannot send Events: API server URL answered 503 \(busy\)\. This log has their text$/);
  left = 0;
  events.record({ ...FULL, note: 'next' });
  await untilCreated(server, 2);
  assert.deepEqual(notes(server), [FULL.note, 'next']);
});

test('a server that cannot be reached is waited for, as at the start of a node', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  await server.stop();
  events.record(FULL);
  events.record({ ...FULL, note: 'next' });
  await sleep(200);
  await server.start();
  await untilCreated(server, 2);
  assert.deepEqual([notes(server), lines], [[FULL.note, 'next'], []]);
});

test('a namespace that is ending takes no Event, which is not a problem', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  let isFirst = true;
  const said = 'events.events.k8s.io "x" is forbidden: unable to create new content in namespace t because it is being terminated';
  server.fault = (_url, response) => {
    const refuses = isFirst;
    isFirst = false;
    return refuses && refuse(response, 403, said);
  };
  events.record(FULL);
  events.record({ ...FULL, note: 'next' });
  await untilCreated(server, 1);
  assert.deepEqual([notes(server), lines], [['next'], []]);
});

test('an answer that is lost on the way makes no second Event', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  let isFirst = true;
  server.fault = (_url, response, request) => {
    if (!isFirst) return false;
    isFirst = false;
    response.writeHead = () => response.destroy() as never;
    void server.events.answer(request, response).catch(() => {});
    return true;
  };
  events.record(FULL);
  events.record({ ...FULL, note: 'next' });
  await untilCreated(server, 2);
  assert.deepEqual([notes(server), lines], [[FULL.note, 'next'], []]);
});

test('a silent server delays no caller, and the recorder stops at once', async () => {
  const server = await served();
  const { events, lines } = recording(server);
  let posts = 0;
  server.fault = () => ++posts > 0;
  for (let i = 0; i < 200; i++) events.record({ ...FULL, note: `${i}` });
  await until('asked', () => posts === 1);
  events.stop();
  events.record(FULL);
  await sleep(30);
  assert.deepEqual([posts, lines], [1, []]);
});
