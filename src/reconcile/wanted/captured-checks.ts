import type { FrontendKey } from '#abi/generated.ts';
import { type Address, familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import { frontendName } from '#lib/frontend-name.ts';
import type { HealthCheck } from '#plan/health-checks.ts';
import type { PortPlan } from '#plan/port-plan.ts';

/** IPPROTO_TCP. */
const TCP = 6;

/** A Service whose health check node port another frontend captures: its requests reach endpoints. */
export interface CapturedCheck {
  /** `namespace/name`. */
  readonly service: string;
  /** One sentence that names the frontend and its owner. */
  readonly message: string;
}

/**
 * Finds health check node ports that are also NodePorts. The programs translate before the node delivers, so the owner of the NodePort answers,
 * as in kube-proxy. An API server assigns both from one range and lets no two be equal.
 */
export interface CapturedChecks {
  /** Replaces the health checks of a Service. */
  want(service: string, checks: readonly HealthCheck[]): void;
  /** The owners of these plans' frontends may have changed. */
  claimed(plan: PortPlan | undefined): void;
  /** The addresses of the node have changed. */
  moved(): void;
  list(): readonly CapturedCheck[];
}

interface Parts {
  readonly winner: (frontend: FrontendKey) => PortPlan | undefined;
  /** Addresses of the node at which health checks are asked. */
  readonly nodeAddresses: () => readonly Address[];
}

/** No health checks. The cost of a change depends on the health checks with the port of a changed frontend. */
export function createCapturedChecks({ winner, nodeAddresses }: Parts): CapturedChecks {
  const checksOf = new Map<string, readonly HealthCheck[]>();
  const servicesAt = new Map<number, Set<string>>();
  const found = new Map<string, readonly CapturedCheck[]>();
  /** Services to look at again. */
  const touched = new Set<string>();

  const unlink = (service: string): void => {
    for (const { port } of checksOf.get(service) ?? []) {
      const services = servicesAt.get(port);
      services?.delete(service);
      if (services?.size === 0) servicesAt.delete(port);
    }
    checksOf.delete(service);
  };
  const capturesOf = (service: string): readonly CapturedCheck[] =>
    (checksOf.get(service) ?? []).flatMap(({ family, port }) => {
      const own = nodeAddresses().filter((address) => familyOf(address) === family);
      return [ZERO_ADDRESS[family], ...own].flatMap((address) => {
        const key = { address, port, protocol: TCP };
        const owner = winner(key);
        return owner === undefined ? [] : { service, message: captureMessage(service, key, owner) };
      });
    });

  return {
    want(service, checks) {
      if (checks.length === 0 && !checksOf.has(service)) return;
      unlink(service);
      touched.add(service);
      if (checks.length === 0) return;
      checksOf.set(service, checks);
      for (const { port } of checks) servicesAt.set(port, (servicesAt.get(port) ?? new Set()).add(service));
    },
    claimed(plan) {
      if (plan?.protocol !== TCP || servicesAt.size === 0) return;
      for (const { port } of plan.frontends) for (const service of servicesAt.get(port) ?? []) touched.add(service);
    },
    moved() {
      for (const service of checksOf.keys()) touched.add(service);
    },
    list() {
      for (const service of touched) {
        const captures = capturesOf(service);
        if (captures.length > 0) found.set(service, captures);
        else found.delete(service);
      }
      touched.clear();
      return [...found.values()].flat();
    },
  };
}

const captureMessage = (service: string, frontend: FrontendKey, owner: PortPlan): string =>
  `Cannot answer health checks of Service "${service}" at spec.healthCheckNodePort ${frontend.port}: Service "${owner.name}" has ${frontendName(frontend)}`;
