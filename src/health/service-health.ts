import type { Address } from '#lib/address.ts';
import type { HealthCheck } from '#plan/health-checks.ts';
import { createHealthPort, type HealthPort, type PortEvents } from './health-port.ts';

/** The health check node ports of this node's Services. */
export interface ServiceHealth {
  /** What a Service (`namespace/name`) should answer from the next follow() on; without checks its port closes. */
  want(service: string, checks: readonly HealthCheck[]): void;
  /** Where ports listen from the next follow() on; a zero address is all of its family. */
  listenAt(addresses: readonly Address[]): void;
  /** Opens, closes and answers as wanted: to be called when the kernel serves accordingly. */
  follow(): void;
  close(): void;
}

/** No port is open yet. The cost of a change goes with the Services that it touches. */
export function createServiceHealth(events: PortEvents): ServiceHealth {
  const wanted = new Map<string, readonly HealthCheck[]>();
  const ports = new Map<string, HealthPort>();
  const touched = new Set<string>();
  let addresses: readonly Address[] = [];

  return {
    want(service, checks) {
      if (checks.length > 0) wanted.set(service, checks);
      else if (!wanted.delete(service)) return;
      touched.add(service);
    },
    listenAt(next) {
      if (next.join() === addresses.join()) return;
      addresses = next;
      for (const service of wanted.keys()) touched.add(service);
    },
    follow() {
      for (const service of touched) {
        const checks = wanted.get(service) ?? [];
        const port = ports.get(service) ?? createHealthPort(service, events);
        port.follow(checks, addresses);
        if (checks.length > 0) ports.set(service, port);
        else ports.delete(service);
      }
      touched.clear();
    },
    close() {
      for (const port of ports.values()) port.follow([], []);
      ports.clear();
    },
  };
}
