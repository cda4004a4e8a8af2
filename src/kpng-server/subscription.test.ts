import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUnframer, frame } from '#grpc/framing.ts';
import { opItemCodec } from '#kpng/messages.ts';
import { setOperation } from '#kpng/operations.ts';
import { SETS } from '#kpng/sets.ts';
import { until } from '#support/manifest-folder.ts';
import type { ItemView, Operation } from './item-view.ts';
import { Subscription } from './subscription.ts';

const operation = (path: string): Operation => ({
  set: SETS.Endpoints,
  path,
  framed: frame(setOperation(SETS.Endpoints, path, Buffer.from(path))),
});

const [one, two, last] = [operation('ns1/a/one'), operation('ns1/a/two'), operation('ns1/a/last')];

const viewOf = (...endpoint: readonly Operation[]): ItemView => ({ operations: { endpoint }, triggeredAt: 0 });

/** A subscription, and the paths that its client has. The view of the second item takes so long that the subscription yields. */
function subscribe(views: (ItemView | undefined)[]) {
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
  const subscription = new Subscription({
    call: { write: (framed) => unframer.push(Buffer.from(framed)) === undefined },
    store: { item, numbers: () => views.keys(), zoneOf: () => '' },
    progress: () => 'complete',
  });
  const request = (): void => subscription.request({ stream: 'local', nodeName: 'n1', zone: '', extended: true });
  const sent = ({ path }: Operation): Promise<void> => until(`${path} was sent`, () => has.has(path));
  return { subscription, request, sent, has };
}

test('an item removed while the first change set is computed is deleted by the next one', async () => {
  const views: (ItemView | undefined)[] = [viewOf(one), viewOf(two), viewOf()];
  const { subscription, request, sent, has } = subscribe(views);
  request();
  views[0] = undefined;
  views[2] = viewOf(last);
  subscription.notify([0, 2]);
  request();
  await sent(last);
  await until('the delete of the removed endpoint', () => !has.has(one.path));
  assert.deepEqual([...has], [two.path, last.path]);
});

test('an endpoint removed and added again while a change set is computed exists in the end', async () => {
  const views: (ItemView | undefined)[] = [viewOf(one), viewOf(two), viewOf()];
  const { subscription, request, sent, has } = subscribe(views);
  request();
  await sent(two);
  views[0] = viewOf();
  views[1] = viewOf(two);
  request();
  subscription.notify([0, 1]);
  views[0] = viewOf(one);
  views[2] = viewOf(last);
  subscription.notify([0, 2]);
  request();
  await sent(last);
  assert.deepEqual([...has].sort(), [last.path, one.path, two.path].sort());
});
