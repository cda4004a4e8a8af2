import type { Config } from '#config/config.ts';
import type { ServiceHealth } from '#health/service-health.ts';
import { type Family, familyOf, type Prefix } from '#lib/address.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Node } from '#model/node.ts';
import type { Service } from '#model/service.ts';
import { planHealthAddresses, planHealthChecks } from '#plan/health-checks.ts';
import { type NodeView, viewNode } from '#plan/node-view.ts';
import { type LocalDevice, planNode } from '#plan/plan-node.ts';
import { planService } from '#plan/plan-service.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { policiesWithoutLocal, type TrafficPolicy } from '#plan/without-local.ts';
import type { RulesetReconciler } from '#reconcile/ruleset/reconciler.ts';
import type { PortKey, Reconciler } from '#reconcile/tables/reconciler.ts';
import type { Store } from './store.ts';

/** Plans what has changed and tells the reconcilers. */
export interface Programmer {
  /**
   * Plans the Services that were touched; also the node, if its object or its devices are others than the last time. `mayLackSlices`:
   * an earlier agent left tables, and not everything can be read yet: what it served of a Service stays as it is while there are no
   * slices of one of its families.
   */
  plan(devices: readonly LocalDevice[], mayLackSlices?: boolean): void;
  /**
   * Before everything else: of the Services that were touched only those that are not as an earlier agent knew them. What they should be
   * can be told without the others, unless one of them wants a frontend that another one has: then all wait. `isComplete`: nothing can
   * be lacking. Returns how many were planned.
   */
  planNews(devices: readonly LocalDevice[], isComplete: boolean): number;
  /** Service ports that have an endpoint, but none here, where their policy wants one. */
  withoutLocal(): readonly { readonly family: Family; readonly policy: TrafficPolicy }[];
}

interface Parts {
  readonly config: Config;
  readonly store: Store;
  readonly reconciler: Reconciler;
  readonly ruleset: Pick<RulesetReconciler, 'want' | 'wantNode'>;
  readonly serviceHealth: Pick<ServiceHealth, 'want' | 'listenAt'>;
  readonly netnsCookie: bigint;
}

/** `netnsCookie`: SO_NETNS_COOKIE of the node's network namespace. */
export function createProgrammer({ config, store, reconciler, ruleset, serviceHealth, netnsCookie }: Parts): Programmer {
  const planned = new Map<string, readonly PortKey[]>();
  /** Services that wait for their slices, or for the others. */
  const waiting = new Set<string>();
  let view: NodeView | undefined;

  const withoutLocal = new Map<string, ReturnType<Programmer['withoutLocal']>>();

  const want = (key: PortKey, plan: PortPlan | undefined): void => {
    const text = `${key.family} ${key.name}`;
    const policies = plan === undefined ? [] : policiesWithoutLocal(plan);
    if (policies.length > 0)
      withoutLocal.set(
        text,
        policies.map((policy) => ({ family: key.family, policy })),
      );
    else withoutLocal.delete(text);
    reconciler.want(key, plan);
    ruleset.want(key, plan);
  };

  const plansOf = (key: string, nodeView: NodeView): readonly PortPlan[] => {
    const { service, slices } = store.service(key);
    return service === undefined ? [] : planService(service, slices, nodeView);
  };

  const planOne = (key: string, nodeView: NodeView, mayLackSlices: boolean): void => {
    const { service, slices } = store.service(key);
    if (mayLackSlices && !planned.has(key) && lacksSlices(service, slices)) {
      waiting.add(key);
      return;
    }
    waiting.delete(key);
    const plans = plansOf(key, nodeView);
    const keys = plans.map(({ name, family }) => ({ name, family }));
    for (const gone of (planned.get(key) ?? []).filter((old) => !keys.some((fresh) => sameKey(old, fresh)))) want(gone, undefined);
    for (const plan of plans) want(plan, plan);
    if (keys.length > 0) planned.set(key, keys);
    else planned.delete(key);
    serviceHealth.want(key, service === undefined ? [] : planHealthChecks(service, slices, nodeView));
  };

  let plannedFor: readonly unknown[] = [];

  const planNodeTables = (node: Node | undefined, devices: readonly LocalDevice[], serviceCIDRs: readonly Prefix[]): void => {
    const plan = planNode({ node, devices, rules: config, netnsCookie });
    const facts = {
      nodeAddresses: plan.nodePortAddresses,
      localNets: plan.localNets,
      serviceCIDRs: [...config.serviceCIDRs, ...serviceCIDRs],
      devices: plan.devices.map(({ key, value }) => ({ ...key, ...value })),
      settings: plan.settings,
    };
    reconciler.wantNode(facts);
    ruleset.wantNode(facts);
    serviceHealth.listenAt(planHealthAddresses(plan.nodePortAddresses, config.nodePortAddresses));
    const before = view;
    view = viewNode(node, config);
    // Before the first time nothing is planned
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(view)) store.touchAll();
  };

  const viewWith = (devices: readonly LocalDevice[]): NodeView => {
    const node = store.node();
    const facts = [node, devices, store.serviceCIDRs()] as const;
    if (facts.some((fact, i) => fact !== plannedFor[i])) planNodeTables(...facts);
    plannedFor = facts;
    return view ?? viewNode(node, config);
  };

  return {
    plan(devices, mayLackSlices = false) {
      const nodeView = viewWith(devices);
      for (const key of new Set([...store.takeTouched(), ...waiting])) planOne(key, nodeView, mayLackSlices);
    },
    planNews(devices, isComplete) {
      const keys = store.takeNews();
      const nodeView = viewWith(devices);
      if (keys.some((key) => plansOf(key, nodeView).some(reconciler.isContested))) {
        for (const key of keys) waiting.add(key);
        return 0;
      }
      for (const key of keys) planOne(key, nodeView, !isComplete);
      if (isComplete) reconciler.dropUnwanted(keys);
      return keys.length;
    },
    withoutLocal: () => [...withoutLocal.values()].flat(),
  };
}

/** Whether no slice is known of a family in which the Service has a ClusterIP. */
const lacksSlices = (service: Service | undefined, slices: readonly EndpointSlice[]): boolean =>
  service?.clusterIPs.some((address) => !slices.some(({ family }) => family === familyOf(address))) === true;

const sameKey = (a: PortKey, b: PortKey): boolean => a.name === b.name && a.family === b.family;
