import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUnframer, frame } from '#grpc/framing.ts';
import { opItemCodec } from '#kpng/messages.ts';
import { setOperation } from '#kpng/operations.ts';
import { SETS } from '#kpng/sets.ts';
import { until } from '#support/manifest-folder.ts';
import { Feed } from './feed.ts';
import type { Operation, View } from './view.ts';

const operation = (path: string): Operation => ({
  set: SETS.Endpoints,
  path,
  framed: frame(setOperation(SETS.Endpoints, path, Buffer.from(path))),
});

const [one, two, last] = [operation('ns1/a/one'), operation('ns1/a/two'), operation('ns1/a/last')];

const seen = (...endpoint: readonly Operation[]): View => ({ operations: { endpoint }, triggeredAt: 0 });

/** A feed of items, the second of which takes so long to look at that others are let in, and the paths that its client has. */
function feedOf(views: (View | undefined)[]) {
  const has = new Set<string>();
  const unframer = createUnframer((bytes) => {
    const { Set: set, Delete } = opItemCodec.decode(bytes);
    if (set?.Ref) has.add(set.Ref.Path);
    if (Delete) has.delete(Delete.Path);
  });
  const item = (number: number) => ({
    view() {
      if (number === 1) for (const end = performance.now() + 15; performance.now() < end; );
      return views[number];
    },
  });
  const feed = new Feed({
    call: { write: (framed) => unframer.push(Buffer.from(framed)) === undefined },
    board: { item, numbers: () => views.keys(), zoneOf: () => '' },
    progress: () => 'complete',
  });
  const ask = (): void => feed.ask({ stream: 'local', nodeName: 'n1', zone: '', extended: true });
  const told = ({ path }: Operation): Promise<void> => until(`${path} was sent`, () => has.has(path));
  return { feed, ask, told, has };
}

test('an item that goes while the first change set is made is deleted by the next one', async () => {
  const views: (View | undefined)[] = [seen(one), seen(two), seen()];
  const { feed, ask, told, has } = feedOf(views);
  ask();
  views[0] = undefined;
  views[2] = seen(last);
  feed.follow([0, 2]);
  ask();
  await told(last);
  await until('the end of what went', () => !has.has(one.path));
  assert.deepEqual([...has], [two.path, last.path]);
});

test('an endpoint that goes and comes back while a change set is made is there in the end', async () => {
  const views: (View | undefined)[] = [seen(one), seen(two), seen()];
  const { feed, ask, told, has } = feedOf(views);
  ask();
  await told(two);
  views[0] = seen();
  views[1] = seen(two);
  ask();
  feed.follow([0, 1]);
  views[0] = seen(one);
  views[2] = seen(last);
  feed.follow([0, 2]);
  ask();
  await told(last);
  assert.deepEqual([...has].sort(), [last.path, one.path, two.path].sort());
});
