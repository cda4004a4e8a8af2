/** The agents of a scenario's nodes: objects in, tables out, without a kernel. */
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
  /** The items of table `inet weir` that depend on Services. */
  ruleset(): Iterable<RulesetItem>;
  /** Replaces all objects. Throws if the tables lack a wanted entry, except for conflicts. */
  follow(objects: readonly ModelObject[]): void;
}

/** Index of the uplink device. */
export const UPLINK = 2;

/** Index of the device of a pod on its node. */
export const podDevice = (pod: string): number => 10 + PLACES.findIndex(({ name }) => name === pod);

/** Longer than the rest time of table entries, ms. */
const STEP_MS = 60_000;

/** Creates an agent with flags such as `--cluster-cidr=10.0.0.0/8` and empty tables. */
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
      if (problem !== undefined) throw new Error(`Tables of ${nodeName} differ from the plan: ${problem.message}`);
    },
  };
}

/** A ruleset without faults. */
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

/** The uplink with the node's addresses, and a device per pod; with a bridge detector the pods' devices are ports of the bridge. */
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
