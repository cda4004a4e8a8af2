import type { Address } from '#lib/address.ts';
import type { HealthCheck } from '#plan/health-checks.ts';

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
