/** Whatever a cluster does, its nodes plan the same from a KPNG stream of weir as from the objects themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createStore, type Store } from '#agent/store.ts';
import { decodeObject } from '#model/decode.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import { planHealthChecks } from '#plan/health-checks.ts';
import { type NodeView, viewNode } from '#plan/node-view.ts';
import { planService } from '#plan/plan-service.ts';
import { type KubernetesObject, kubernetesObject, NODE_NAMES, SERVICE_NAMES, SLICE_NAMES } from '../properties/arbitrary-objects.ts';
import { checkAsync } from '../properties/check.ts';
import { TestClient, TestServer } from './line.ts';

type Deed =
  | { readonly do: 'put'; readonly object: KubernetesObject }
  | { readonly do: 'remove'; readonly kind: ModelKind; readonly key: string }
  | { readonly do: 'tell' | 'reconnect' | 'slow' | 'fast' };

const KEYS: readonly (readonly [ModelKind, string])[] = [
  ...SERVICE_NAMES.map((name) => ['Service', `t/${name}`] as const),
  ...SLICE_NAMES.map((name) => ['EndpointSlice', `t/${name}`] as const),
  ...NODE_NAMES.map((name) => ['Node', name] as const),
];

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 10, arbitrary: kubernetesObject.map((object): Deed => ({ do: 'put', object })) },
  { weight: 2, arbitrary: fc.constantFrom(...KEYS).map(([kind, key]): Deed => ({ do: 'remove', kind, key })) },
  { weight: 6, arbitrary: fc.constant<Deed>({ do: 'tell' }) },
  { weight: 2, arbitrary: fc.constantFrom<Deed>({ do: 'reconnect' }, { do: 'slow' }, { do: 'fast' }) },
);

const history = fc.array(deed, { minLength: 1, maxLength: 30, size: 'max' });

function decoded(object: KubernetesObject): ModelObject {
  const result = decodeObject(object);
  assert.equal(result.type, 'object', JSON.stringify(result));
  return (result as { readonly object: ModelObject }).object;
}

const viewOf = (store: Store, nodeName: string): NodeView =>
  viewNode(store.node(), { nodeName, localDetector: { mode: 'NodeCIDR' }, masqueradeAll: false });

/** Everything that a node does for its Services. */
function plansOf(store: Store, nodeName: string): unknown {
  return SERVICE_NAMES.map((name) => {
    const { service, slices } = store.service(`t/${name}`);
    if (service === undefined) return [];
    const plans = planService(service, slices, viewOf(store, nodeName)).map(({ unlisted, ...plan }) => ({
      ...plan,
      // In no order
      unlisted: unlisted?.map(({ address, port }) => `${address} ${port}`).sort(),
    }));
    return [plans, planHealthChecks(service, slices, viewOf(store, nodeName))];
  }).map((plans) => (plans.every((each) => (each as readonly unknown[]).length === 0) ? [] : plans));
}

interface Watched {
  readonly nodeName: string;
  readonly direct: Store;
  readonly streamed: Store;
  readonly peer: TestClient;
}

function watch(server: TestServer, nodeName: string): Watched {
  const streamed = createStore(nodeName);
  return {
    nodeName,
    direct: createStore(nodeName),
    streamed,
    peer: new TestClient(server, { stream: 'local', nodeName, zone: '', extended: true }, streamed),
  };
}

/** Lets subscriptions do what they have begun. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await setImmediate();
}

/** A server that is fed with the objects, one that is fed by its global stream, and three nodes of the latter or the former. */
async function live(deeds: readonly Deed[], isRelayed: boolean): Promise<void> {
  const first = new TestServer();
  const second = isRelayed ? new TestServer() : first;
  const relay = isRelayed ? new TestClient(first, { stream: 'global', extended: true }, second.store) : undefined;
  const nodes = ['n1', 'n2', 'n3'].map((nodeName) => watch(second, nodeName));
  const peers = [...(relay ? [relay] : []), ...nodes.map(({ peer }) => peer)];
  const tell = async (): Promise<void> => {
    first.tell();
    await settle();
    if (isRelayed) second.tell();
    await settle();
  };
  for (const peer of peers) peer.connect();
  for (const one of deeds) {
    if (one.do === 'put' || one.do === 'remove') {
      const targets = [first.store, ...nodes.map(({ direct }) => direct)];
      for (const target of targets) {
        if (one.do === 'put') target.set(decoded(one.object));
        else target.remove(one.kind, one.key);
      }
    } else if (one.do === 'tell') await tell();
    else if (one.do === 'reconnect') for (const peer of peers) peer.connect();
    else if (one.do === 'slow') for (const peer of peers) peer.isSlow = true;
    else for (const peer of peers) peer.speedUp();
  }
  for (let i = 0; i < 3; i++) {
    for (const peer of peers) peer.speedUp();
    await tell();
  }
  for (const { nodeName, direct, streamed, peer } of nodes) {
    assert.deepEqual(plansOf(streamed, nodeName), plansOf(direct, nodeName), nodeName);
    assert.deepEqual(streamed.node(), direct.node(), `Node ${nodeName}`);
    assert.deepEqual(peer.problems, []);
    assert.ok(peer.syncs > 0);
  }
}

const describe = (deeds: readonly Deed[]): string[] => deeds.map((one) => JSON.stringify(one));

test('nodes plan the same from the local stream as from the objects, whatever happens to objects and connections', () =>
  checkAsync(
    fc.asyncProperty(history, (deeds) => live(deeds, false)),
    400,
    describe,
  ));

test('and so they do from a server that is fed by the global stream of another one', () =>
  checkAsync(
    fc.asyncProperty(history, (deeds) => live(deeds, true)),
    200,
    describe,
  ));
