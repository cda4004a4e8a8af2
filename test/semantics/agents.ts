/** The agents of a scenario's nodes, from objects to tables, without a kernel. */
import { createProgrammer } from '#agent/programmer.ts';
import { createStore } from '#agent/store.ts';
import type { Config } from '#config/config.ts';
import { parseConfig } from '#config/parse-config.ts';
import type { Address } from '#lib/address.ts';
import type { ModelObject } from '#model/objects.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import { itemId, type Ruleset, type RulesetItem } from '#reconcile/ports/ruleset.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { createReconciler } from '#reconcile/reconciler.ts';
import { createRulesetWriter } from '#reconcile/ruleset/ruleset-writer.ts';
import { createTablesWriter } from '#reconcile/tables/tables-writer.ts';
import { createWantedState } from '#reconcile/wanted/wanted-state.ts';
import { createFakeTables } from '#support/fake-tables.ts';
import { PLACES } from './world.ts';

/** One node's agent. */
export interface PlanningAgent {
  readonly config: Config;
  readonly tables: Tables;
  /** What of table `inet weir` goes with the Services. */
  ruleset(): Iterable<RulesetItem>;
  /** Everything that exists from now on. Throws when something did not reach the tables, conflicts excepted. */
  follow(objects: readonly ModelObject[]): void;
}

/** Index of the device that leads to the other nodes and to the world. */
export const UPLINK = 2;

/** Index of a pod's device on its node. */
export const podDevice = (pod: string): number => 10 + PLACES.findIndex(({ name }) => name === pod);

/** Longer than places in the tables rest. */
const STEP_MS = 60_000;

/** An agent with flags such as `--cluster-cidr=10.0.0.0/8`; nothing is planned yet. */
export function createPlanningAgent(nodeName: string, flags: readonly string[]): PlanningAgent {
  const config = configOf(nodeName, flags);
  const tables = createFakeTables({ faultRate: 0 });
  const items = new Map<string, RulesetItem>();
  let clock = 0;
  const now = (): number => clock;
  const wanted = createWantedState();
  const writer = createTablesWriter({ tables, wanted, now });
  const ruleset = createRulesetWriter({ ruleset: rulesetIn(items), wanted, keepsEarlierTable: false, now });
  const reconciler = createReconciler({ wanted, writers: [writer, ruleset], now });
  const store = createStore(nodeName);
  const programmer = createProgrammer({ config, store, wanted, isContested: writer.isContested, netnsCookie: 1n });
  let known: readonly ModelObject[] = [];

  return {
    config,
    tables,
    ruleset: () => items.values(),
    follow(objects) {
      clock += STEP_MS;
      for (const { kind, key } of known) if (!objects.some((object) => object.kind === kind && object.key === key)) store.remove(kind, key);
      for (const object of objects) store.set(object);
      known = objects;
      programmer.plan(devicesOf(config, objects));
      reconciler.prune();
      const [problem] = reconciler.problems().filter(({ code }) => code !== 'conflict');
      if (problem !== undefined) throw new Error(`Tables of ${nodeName} are not as planned: ${problem.message}`);
    },
  };
}

/** A ruleset that does what it is told. */
function rulesetIn(items: Map<string, RulesetItem>): Ruleset {
  const put = (some: readonly RulesetItem[]): void => {
    for (const item of some) items.set(itemId(item), item);
  };
  return {
    install(all) {
      items.clear();
      put(all);
    },
    change({ add, replace, remove }) {
      for (const item of remove) items.delete(itemId(item));
      put([...add, ...replace]);
    },
    isThere: () => true,
  };
}

function configOf(nodeName: string, flags: readonly string[]): Config {
  const given = [...flags, `--node-name=${nodeName}`, '--dir=/nowhere'].map((flag) => {
    const [, name = '', text = 'true'] = /^--([^=]+)(?:=(.*))?$/.exec(flag) ?? [];
    return [name, { text, from: `--${name}` }] as const;
  });
  const parsed = parseConfig(new Map(given), nodeName);
  if (!parsed.ok) throw new Error(`Cannot start an agent: ${parsed.errors.join('; ')}`);
  return parsed.value.config;
}

/** The node's addresses on its uplink, a device for each pod; where a bridge tells who is a pod, they hang on it. */
function devicesOf({ nodeName, localDetector }: Config, objects: readonly ModelObject[]): readonly LocalDevice[] {
  const node = objects.find(({ kind, key }) => kind === 'Node' && key === nodeName)?.value as
    | { addresses?: readonly Address[] }
    | undefined;
  return [
    { ifindex: 1, name: 'lo', addresses: ['127.0.0.1', '::1'] as Address[] },
    { ifindex: UPLINK, name: 'eth0', addresses: node?.addresses ?? [] },
    ...PLACES.filter((place) => place.kind === 'pod' && place.node === nodeName).map(({ name }) => ({
      ifindex: podDevice(name),
      name: `veth-${name}`,
      ...(localDetector.mode === 'BridgeInterface' && { bridge: localDetector.name }),
      addresses: [],
    })),
  ];
}
