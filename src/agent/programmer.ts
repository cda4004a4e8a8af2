import type { Config } from '#config/config.ts';
import { type Family, familyOf, type Prefix } from '#lib/address.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Node } from '#model/node.ts';
import type { Service } from '#model/service.ts';
import { planHealthAddresses, planHealthChecks } from '#plan/health-checks.ts';
import { type NodeView, viewNode } from '#plan/node-view.ts';
import { type LocalDevice, planNode } from '#plan/plan-node.ts';
import { planService } from '#plan/plan-service.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { type PolicyKind, policiesWithoutLocal } from '#plan/without-local.ts';
import type { WantedState } from '#reconcile/wanted/wanted-state.ts';
import type { Store } from './store.ts';

/** Plans the Services that have changed into the wanted state. */
export interface Programmer {
  /**
   * Plans the Services that were touched, and the node if its object or its devices have changed. `mayLackSlices`: an earlier agent left tables
   * and the source is incomplete; a Service without slices of one of its families then keeps what the earlier agent served.
   */
  plan(devices: readonly LocalDevice[], mayLackSlices?: boolean): void;
  /**
   * Plans the Services that have changed since an earlier agent wrote its journal, before all other Services. If one of them claims a frontend
   * that another Service port has in the kernel, all Services wait for plan(). `isComplete`: the source is complete. Returns the planned
   * Services, by `namespace/name`.
   */
  planDelta(devices: readonly LocalDevice[], isComplete: boolean): readonly string[];
  /** Service ports whose policy wants an endpoint of this node, which have endpoints on other nodes only. */
  withoutLocal(): readonly { readonly family: Family; readonly policy: PolicyKind }[];
}

interface Parts {
  readonly config: Config;
  readonly store: Store;
  readonly wanted: WantedState;
  /** Whether another Service port has one of the plan's frontends in the kernel. */
  readonly isContested: (plan: PortPlan) => boolean;
  /** SO_NETNS_COOKIE of the node's network namespace. */
  readonly netnsCookie: bigint;
}

/** Nothing is planned yet. */
export function createProgrammer({ config, store, wanted, isContested, netnsCookie }: Parts): Programmer {
  /** Services that wait for their slices, or for the other Services. */
  const waiting = new Set<string>();
  const withoutLocal = new Map<string, ReturnType<Programmer['withoutLocal']>>();
  let view: NodeView | undefined;
  let plannedFor: readonly unknown[] = [];

  const plansOf = (key: string, nodeView: NodeView): readonly PortPlan[] => {
    const { service, slices } = store.service(key);
    return service === undefined ? [] : planService(service, slices, nodeView);
  };

  const planOne = (key: string, nodeView: NodeView, mayLackSlices: boolean): void => {
    const { service, slices } = store.service(key);
    if (mayLackSlices && wanted.plansOf(key).length === 0 && lacksSlices(service, slices)) {
      waiting.add(key);
      return;
    }
    waiting.delete(key);
    const plans = plansOf(key, nodeView);
    const healthChecks = service === undefined ? [] : planHealthChecks(service, slices, nodeView);
    const policies = plans.flatMap((plan) => policiesWithoutLocal(plan).map((policy) => ({ family: plan.family, policy })));
    if (policies.length > 0) withoutLocal.set(key, policies);
    else withoutLocal.delete(key);
    wanted.want(key, { plans, healthChecks });
  };

  const planNodeFacts = (node: Node | undefined, devices: readonly LocalDevice[], serviceCIDRs: readonly Prefix[]): void => {
    const plan = planNode({ node, devices, rules: config, netnsCookie });
    const facts = {
      nodeAddresses: plan.nodePortAddresses,
      heldAddresses: plan.heldAddresses,
      localNets: plan.localNets,
      serviceCIDRs: [...config.serviceCIDRs, ...serviceCIDRs],
      devices: plan.devices.map(({ key, value }) => ({ ...key, ...value })),
      settings: plan.settings,
    };
    wanted.wantNode(facts, planHealthAddresses(plan.nodePortAddresses, config.nodePortAddresses));
    const before = view;
    view = viewNode(node, config);
    // Before the first call nothing is planned
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(view)) store.touchAll();
  };

  const viewWith = (devices: readonly LocalDevice[]): NodeView => {
    const node = store.node();
    const facts = [node, devices, store.serviceCIDRs()] as const;
    if (facts.some((fact, i) => fact !== plannedFor[i])) planNodeFacts(...facts);
    plannedFor = facts;
    return view ?? viewNode(node, config);
  };

  return {
    plan(devices, mayLackSlices = false) {
      const nodeView = viewWith(devices);
      for (const key of new Set([...store.takeTouched(), ...waiting])) planOne(key, nodeView, mayLackSlices);
    },
    planDelta(devices, isComplete) {
      const keys = store.takeNews();
      const nodeView = viewWith(devices);
      if (keys.some((key) => plansOf(key, nodeView).some(isContested))) {
        for (const key of keys) waiting.add(key);
        return [];
      }
      for (const key of keys) planOne(key, nodeView, !isComplete);
      return keys;
    },
    withoutLocal: () => [...withoutLocal.values()].flat(),
  };
}

/** Whether the store lacks all slices of a family in which the Service has a ClusterIP. */
const lacksSlices = (service: Service | undefined, slices: readonly EndpointSlice[]): boolean =>
  service?.clusterIPs.some((address) => !slices.some(({ family }) => family === familyOf(address))) === true;
