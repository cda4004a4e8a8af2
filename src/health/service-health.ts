import type { Address } from '#lib/address.ts';
import type { HealthCheck } from '#plan/health-checks.ts';
import { createHealthPort, type HealthPort, type PortEvents } from './health-port.ts';

/** What the health check node ports should answer, and where. `namespace/name` names a Service. */
export interface HealthState {
  checks(service: string): readonly HealthCheck[];
  /** Addresses to listen on; a zero address stands for all addresses of its family. */
  addresses(): readonly Address[];
  /** Services whose answer or addresses have changed since the last call. */
  takeChanged(): readonly string[];
}

/** The health check node ports of this node's Services. */
export interface ServiceHealth {
  /** Opens, closes and answers as the state says. Call it when the kernel serves accordingly. */
  follow(): void;
  close(): void;
}

/** No port is open yet. The cost of a change depends on the Services that it touches. */
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
