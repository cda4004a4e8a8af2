import type { Address } from '#lib/address.ts';
import type { HealthCheck } from '#plan/health-checks.ts';
import { createHealthPort, type HealthPort, type PortEvents } from './health-port.ts';

/** Wanted answers and addresses of the health check node ports. A Service is `namespace/name`. */
export interface HealthState {
  checks(service: string): readonly HealthCheck[];
  /** Addresses to listen at; a zero address means all addresses of its family. */
  addresses(): readonly Address[];
  /** Services with another answer or other addresses since the last call. */
  takeChanged(): readonly string[];
}

/** The health check node ports of this node's Services. */
export interface ServiceHealth {
  /** Opens and closes ports and changes answers according to the state. Call it after the kernel has the same state. */
  follow(): void;
  close(): void;
}

/** Creates health checks without open ports. The cost of a change depends only on the changed Services. */
export function createServiceHealth(state: HealthState, events: PortEvents): ServiceHealth {
  const ports = new Map<string, HealthPort>();

  return {
    follow() {
      for (const service of state.takeChanged()) {
        const checks = state.checks(service);
        const port = ports.get(service) ?? createHealthPort(service, events);
        port.follow(checks, state.addresses());
        if (checks.length > 0) ports.set(service, port);
        else ports.delete(service);
      }
    },
    close() {
      for (const port of ports.values()) port.follow([], []);
      ports.clear();
    },
  };
}
