/** For every history of a cluster, nodes plan the same from weir's KPNG stream as from the objects themselves. */
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
import { TestClient, TestServer } from './in-process.ts';

type Step =
  | { readonly do: 'put'; readonly object: KubernetesObject }
  | { readonly do: 'remove'; readonly kind: ModelKind; readonly key: string }
  | { readonly do: 'notify' | 'reconnect' | 'slow' | 'fast' };

const KEYS: readonly (readonly [ModelKind, string])[] = [
  ...SERVICE_NAMES.map((name) => ['Service', `t/${name}`] as const),
  ...SLICE_NAMES.map((name) => ['EndpointSlice', `t/${name}`] as const),
  ...NODE_NAMES.map((name) => ['Node', name] as const),
];

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: kubernetesObject.map((object): Step => ({ do: 'put', object })) },
  { weight: 2, arbitrary: fc.constantFrom(...KEYS).map(([kind, key]): Step => ({ do: 'remove', kind, key })) },
  { weight: 6, arbitrary: fc.constant<Step>({ do: 'notify' }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'reconnect' }, { do: 'slow' }, { do: 'fast' }) },
);

const history = fc.array(step, { minLength: 1, maxLength: 30, size: 'max' });

function decoded(object: KubernetesObject): ModelObject {
  const result = decodeObject(object);
  assert.equal(result.type, 'object', JSON.stringify(result));
  return (result as { readonly object: ModelObject }).object;
}

const viewOf = (store: Store, nodeName: string): NodeView =>
  viewNode(store.node(), { nodeName, localDetector: { mode: 'NodeCIDR' }, masqueradeAll: false });

/** All plans of a node for its Services. */
function plansOf(store: Store, nodeName: string): unknown {
  return SERVICE_NAMES.map((name) => {
    const { service, slices } = store.service(`t/${name}`);
    if (service === undefined) return [];
    const plans = planService(service, slices, viewOf(store, nodeName)).map(({ unlisted, ...plan }) => ({
      ...plan,
      // Unordered
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

/** Lets subscriptions send their pending change sets. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await setImmediate();
}

/** Plays a history to a server with three nodes; `isRelayed`: the nodes follow a second server, which follows the first by its global stream. */
async function play(steps: readonly Step[], isRelayed: boolean): Promise<void> {
  const first = new TestServer();
  const second = isRelayed ? new TestServer() : first;
  const relay = isRelayed ? new TestClient(first, { stream: 'global', extended: true }, second.store) : undefined;
  const nodes = ['n1', 'n2', 'n3'].map((nodeName) => watch(second, nodeName));
  const peers = [...(relay ? [relay] : []), ...nodes.map(({ peer }) => peer)];
  const notify = async (): Promise<void> => {
    first.notify();
    await settle();
    if (isRelayed) second.notify();
    await settle();
  };
  for (const peer of peers) peer.connect();
  for (const one of steps) {
    if (one.do === 'put' || one.do === 'remove') {
      const targets = [first.store, ...nodes.map(({ direct }) => direct)];
      for (const target of targets) {
        if (one.do === 'put') target.set(decoded(one.object));
        else target.remove(one.kind, one.key);
      }
    } else if (one.do === 'notify') await notify();
    else if (one.do === 'reconnect') for (const peer of peers) peer.connect();
    else if (one.do === 'slow') for (const peer of peers) peer.isSlow = true;
    else for (const peer of peers) peer.speedUp();
  }
  for (let i = 0; i < 3; i++) {
    for (const peer of peers) peer.speedUp();
    await notify();
  }
  for (const { nodeName, direct, streamed, peer } of nodes) {
    assert.deepEqual(plansOf(streamed, nodeName), plansOf(direct, nodeName), nodeName);
    assert.deepEqual(streamed.node(), direct.node(), `Node ${nodeName}`);
    assert.deepEqual(peer.problems, []);
    assert.ok(peer.syncs > 0);
  }
}

const describe = (steps: readonly Step[]): string[] => steps.map((one) => JSON.stringify(one));

test('nodes plan the same from the local stream as from the objects, for every history of objects and connections', () =>
  checkAsync(
    fc.asyncProperty(history, (steps) => play(steps, false)),
    400,
    describe,
  ));

test('nodes plan the same from a server that follows the global stream of another server', () =>
  checkAsync(
    fc.asyncProperty(history, (steps) => play(steps, true)),
    200,
    describe,
  ));
