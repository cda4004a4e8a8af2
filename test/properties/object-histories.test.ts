import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Config } from '#config/config.ts';
import type { Address } from '#lib/address.ts';
import { decodeObject } from '#model/decode.ts';
import type { ModelObject } from '#model/objects.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import { REST_MS } from '#reconcile/tables/state.ts';
import { prefix } from '#support/model-objects.ts';
import { SLOW_MS } from '#support/write-watcher.ts';
import { AgentLife, idOf, writtenAtOnce } from './agent-life.ts';
import { type KubernetesObject, kubernetesObject, NODE_NAMES, SERVICE_NAMES, SLICE_NAMES } from './arbitrary-objects.ts';
import { check } from './check.ts';

/*
 * Any history of added, changed and removed objects, with failing kernel writes, agents killed during a pass and temporarily unreadable
 * files, ends in the tables of the last objects alone. After every single write each frontend leads to live backends of its own Service
 * port.
 */

type Kind = ModelObject['kind'];

type Change =
  | { readonly do: 'put'; readonly object: KubernetesObject }
  | { readonly do: 'remove'; readonly kind: Kind; readonly key: string };

type Deed =
  | Change
  | { readonly do: 'devices'; readonly devices: readonly LocalDevice[] }
  | { readonly do: 'pass' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'kill'; readonly afterWrites: number; readonly hidden: readonly string[] }
  | { readonly do: 'succeed'; readonly afterWrites: number; readonly news: readonly Change[] }
  | { readonly do: 'complete' };

const KEYS: readonly (readonly [Kind, string])[] = [
  ...SERVICE_NAMES.map((name) => ['Service', `t/${name}`] as const),
  ...SLICE_NAMES.map((name) => ['EndpointSlice', `t/${name}`] as const),
  ...NODE_NAMES.map((name) => ['Node', name] as const),
];

const device = (ifindex: number, name: string, ...addresses: string[]): LocalDevice => ({
  ifindex,
  name,
  addresses: addresses as Address[],
});
const DEVICES = [
  device(1, 'lo', '127.0.0.1', '::1'),
  device(2, 'eth0', '192.168.0.2', 'fd00::c0a8:2'),
  device(3, 'cni0', '10.0.0.254'),
  device(4, 'veth1'),
];

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: kubernetesObject.map((object): Change => ({ do: 'put', object })) },
  { weight: 1, arbitrary: fc.constantFrom(...KEYS).map(([kind, key]): Change => ({ do: 'remove', kind, key })) },
);

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 10, arbitrary: change },
  { weight: 1, arbitrary: fc.subarray(DEVICES).map((devices): Deed => ({ do: 'devices', devices })) },
  { weight: 5, arbitrary: fc.constant<Deed>({ do: 'pass' }) },
  { weight: 2, arbitrary: fc.constantFrom(10, 300, SLOW_MS, REST_MS).map((ms): Deed => ({ do: 'wait', ms })) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        afterWrites: fc.integer({ min: 0, max: 40 }),
        hidden: fc.oneof(
          fc.constant([]),
          fc.subarray(
            KEYS.map(([kind, key]) => idOf(kind, key)),
            { maxLength: 3 },
          ),
        ),
      })
      .map((drawn): Deed => ({ do: 'kill', ...drawn })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ afterWrites: fc.integer({ min: 0, max: 40 }), news: fc.array(change, { maxLength: 4 }) })
      .map((drawn): Deed => ({ do: 'succeed', ...drawn })),
  },
  { weight: 1, arbitrary: fc.constant<Deed>({ do: 'complete' }) },
);

interface History {
  readonly rules: Pick<Config, 'localDetector' | 'nodePortAddresses' | 'masqueradeAll'>;
  readonly seed: number;
  readonly deeds: readonly Deed[];
}

const history: fc.Arbitrary<History> = fc.record({
  rules: fc.record({
    localDetector: fc.constantFrom<Config['localDetector']>(
      { mode: 'NodeCIDR' },
      { mode: 'ClusterCIDR', prefixes: [prefix('10.0.0.0/8')] },
      { mode: 'BridgeInterface', name: 'cni0' },
      { mode: 'None' },
    ),
    nodePortAddresses: fc.constantFrom<Config['nodePortAddresses']>(
      { mode: 'primary' },
      { mode: 'networks', prefixes: [prefix('192.168.0.0/16')] },
    ),
    masqueradeAll: fc.boolean(),
  }),
  seed: fc.integer({ min: 1, max: 1 << 30 }),
  deeds: fc.array(deed, { minLength: 1, maxLength: 30, size: 'max' }),
});

const configOf = (rules: History['rules']): Config => ({
  ...rules,
  nodeName: 'n1',
  source: { type: 'manifests', dir: '' },
  serviceCIDRs: [prefix('172.30.0.0/16')],
  cgroupRoot: undefined,
  stateDir: '',
  journalDir: undefined,
  excludeDevices: [],
  socketScope: 'all',
  localhostNodePorts: true,
  healthzBindAddress: undefined,
  metricsBindAddress: undefined,
  bindAddress: undefined,
  bindAddressHardFail: false,
  conntrack: {} as Config['conntrack'],
  oomScoreAdj: undefined,
  metricsMaxServices: 0,
  mapSizes: {},
  packetPath: 'netfilter',
  masqueradeMark: 1,
  conntrackMark: 2,
  verbosity: 0,
});

function decoded(object: KubernetesObject): ModelObject {
  const result = decodeObject(object);
  assert.equal(result.type, 'object', JSON.stringify(result));
  return (result as { readonly object: ModelObject }).object;
}

function run(life: AgentLife, one: Deed): void {
  if (one.do === 'put' || one.do === 'remove') apply(life, one);
  else if (one.do === 'devices') life.devices = one.devices;
  else if (one.do === 'wait') life.now += one.ms;
  else if (one.do === 'kill') life.restart(one.afterWrites, one.hidden);
  else if (one.do === 'succeed') life.succeed(one.afterWrites, () => applyAll(life, one.news));
  else life[one.do]();
}

function apply(life: AgentLife, one: Change): void {
  if (one.do === 'put') life.put(decoded(one.object));
  else life.remove(one.kind, one.key);
}

function applyAll(life: AgentLife, changes: readonly Change[]): void {
  for (const one of changes) apply(life, one);
}

/** One line per deed. */
const describe = ({ rules, seed, deeds }: History): string[] => [
  `agent ${JSON.stringify(rules)} faults ${seed}`,
  ...deeds.map(({ do: verb, ...rest }) => {
    if (!('object' in rest)) return `${verb} ${JSON.stringify(rest)}`;
    const { apiVersion, ...object } = rest.object;
    return `${verb} ${JSON.stringify(object)}`;
  }),
];

test('any history of objects ends in the tables of the last objects, and each write keeps frontends on their own live backends', () => {
  const property = fc.property(history, ({ rules, seed, deeds }) => {
    const life = new AgentLife(configOf(rules), seed);
    for (const one of deeds) run(life, one);
    life.heal();
    assert.deepEqual(life.outcome(), writtenAtOnce(configOf(rules), life.objects, life.devices));
  });
  check(property, 1500, describe);
});
