import type { Device, FrontendKey, Settings } from '#abi/generated.ts';
import type { Address, Prefix } from '#lib/address.ts';
import type { HealthCheck } from '#plan/health-checks.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { type CapturedCheck, createCapturedChecks } from './captured-checks.ts';
import { createClaims, type FrontendShare } from './claims.ts';
import { identityOf, NODE } from './keys.ts';

/** What the kernel needs to know of the node. */
export interface NodeFacts {
  /** Addresses on which NodePorts answer. */
  readonly nodeAddresses: readonly Address[];
  /** Addresses of the node's devices. */
  readonly heldAddresses: readonly Address[];
  /** Pod ranges of the local detector. */
  readonly localNets: readonly Prefix[];
  /** Networks of Service addresses. */
  readonly serviceCIDRs: readonly Prefix[];
  readonly devices: readonly ({ readonly ifindex: number } & Device)[];
  readonly settings: Settings;
}

/** Everything that one Service needs on this node. */
export interface WantedService {
  /** One plan for each Service port and family. */
  readonly plans: readonly PortPlan[];
  readonly healthChecks: readonly HealthCheck[];
}

/** What one call of want() or wantNode() changed. */
export interface WantedChange {
  /** Identities of Service ports, or NODE, whose entries may have to change. */
  readonly holders: Iterable<string>;
  /** The plan of one Service port before and after; both undefined for the node. */
  readonly before?: PortPlan | undefined;
  readonly after?: PortPlan | undefined;
}

/**
 * What should exist in the kernel and behind the health check node ports. The agent keeps it once; writers read it. The cost of a change
 * depends on the plans that change, not on the number of Services.
 */
export interface WantedState {
  /** Replaces everything that a Service (`namespace/name`) needs; a service without plans needs nothing. */
  want(service: string, wanted: WantedService): void;
  /** `healthAddresses`: see WantedHealth. */
  wantNode(facts: NodeFacts, healthAddresses: readonly Address[]): void;
  /** Plans of a Service; empty if it was never wanted or needs nothing. */
  plansOf(service: string): readonly PortPlan[];
  /** The plan of an identity. */
  plan(identity: string): PortPlan | undefined;
  /** All plans by identity. */
  plans(): ReadonlyMap<string, PortPlan>;
  node(): NodeFacts | undefined;
  /** The plan that owns a frontend. */
  winner(frontend: FrontendKey): PortPlan | undefined;
  /** Divides the frontends of a wanted plan; a frontend that the plan names twice counts once. */
  share(plan: PortPlan): FrontendShare;
  readonly health: WantedHealth;
  /** Health checks that cannot be answered, because a Service port has their port. */
  capturedChecks(): readonly CapturedCheck[];
  /** Calls `listener` after each change. */
  follow(listener: (change: WantedChange) => void): void;
}

/** A state in which nothing is wanted. */
export function createWantedState(): WantedState {
  const services = new Map<string, readonly PortPlan[]>();
  const plans = new Map<string, PortPlan>();
  const claims = createClaims();
  const health = createHealthBook();
  const listeners: ((change: WantedChange) => void)[] = [];
  let node: NodeFacts | undefined;

  const captured = createCapturedChecks({ winner: claims.winner, nodeAddresses: () => node?.nodeAddresses ?? [] });

  const announce = (change: WantedChange): void => {
    for (const listener of listeners) listener(change);
  };
  const replace = (before: PortPlan | undefined, after: PortPlan | undefined): void => {
    const own = [before, after].flatMap((plan) => (plan === undefined ? [] : [identityOf(plan)]));
    const affected = claims.replace(before, after);
    for (const plan of [before, after]) captured.claimed(plan);
    if (before !== undefined) plans.delete(identityOf(before));
    if (after !== undefined) plans.set(identityOf(after), after);
    announce({ holders: new Set([...own, ...affected]), before, after });
  };

  return {
    want(service, wanted) {
      const old = new Map((services.get(service) ?? []).map((plan) => [portText(plan), plan]));
      const fresh = new Set(wanted.plans.map(portText));
      if (wanted.plans.length > 0) services.set(service, wanted.plans);
      else services.delete(service);
      for (const [text, plan] of old) if (!fresh.has(text)) replace(plan, undefined);
      for (const plan of wanted.plans) replace(old.get(portText(plan)), plan);
      health.want(service, wanted.healthChecks);
      captured.want(service, wanted.healthChecks);
    },
    wantNode(facts, healthAddresses) {
      node = facts;
      health.listenAt(healthAddresses);
      captured.moved();
      announce({ holders: [NODE] });
    },
    plansOf: (service) => services.get(service) ?? [],
    plan: (identity) => plans.get(identity),
    plans: () => plans,
    node: () => node,
    winner: claims.winner,
    share: claims.share,
    health,
    capturedChecks: captured.list,
    follow: (listener) => void listeners.push(listener),
  };
}

/** One Service port has one plan in each family; its protocol may change. */
const portText = ({ name, family }: PortPlan): string => `${family} ${name}`;

/** What health check node ports should answer, and where; `namespace/name` names a Service. */
export interface WantedHealth {
  checks(service: string): readonly HealthCheck[];
  /** Addresses that health check node ports listen on; a zero address stands for all addresses of its family. */
  addresses(): readonly Address[];
  /** Services whose answer or addresses have changed since the last call. */
  takeChanged(): readonly string[];
}

/** A WantedHealth that its owner fills. */
export interface HealthBook extends WantedHealth {
  want(service: string, checks: readonly HealthCheck[]): void;
  listenAt(addresses: readonly Address[]): void;
}

/** No Service has a health check. */
export function createHealthBook(): HealthBook {
  const wanted = new Map<string, readonly HealthCheck[]>();
  const changed = new Set<string>();
  let addresses: readonly Address[] = [];

  return {
    checks: (service) => wanted.get(service) ?? [],
    addresses: () => addresses,
    takeChanged() {
      const services = [...changed];
      changed.clear();
      return services;
    },
    want(service, checks) {
      if (checks.length > 0) wanted.set(service, checks);
      else if (!wanted.delete(service)) return;
      changed.add(service);
    },
    listenAt(next) {
      if (next.join() === addresses.join()) return;
      addresses = next;
      for (const service of wanted.keys()) changed.add(service);
    },
  };
}
