import { type HttpListener, listen, RETRY_MS, reasonOf } from '#http/listener.ts';
import { type Address, type Family, familyOf } from '#lib/address.ts';
import type { HealthCheck } from '#plan/health-checks.ts';
import { healthAnswer } from './answer.ts';

/** The health check node port of one Service, at all its addresses. */
export interface HealthPort {
  /** Serves these answers at these addresses from now on, and closes all other listeners. */
  follow(checks: readonly HealthCheck[], addresses: readonly Address[]): void;
}

export interface PortEvents {
  readonly isProxyHealthy: () => boolean;
  /** Called once per series of failures to open the port, with the port's Service. */
  readonly problem: (message: string, service: string) => void;
  readonly note: (message: string) => void;
}

interface ListenAddress {
  readonly address: Address;
  readonly family: Family;
  readonly port: number;
}

/** Creates a health port without listeners. `service`: `namespace/name`. */
export function createHealthPort(service: string, { isProxyHealthy, problem, note }: PortEvents): HealthPort {
  const listeners = new Map<string, HttpListener>();
  const failing = new Set<string>();
  let counts = new Map<Family, number>();

  const open = (key: string, { address, family, port }: ListenAddress): HttpListener =>
    listen({
      address,
      port,
      answer: () => healthAnswer(service, counts.get(family) ?? 0, isProxyHealthy()),
      onOpen() {
        if (failing.delete(key) && failing.size === 0) note(`Opened ${fieldName(service, port)}`);
      },
      onError(error) {
        const isFirst = failing.size === 0;
        failing.add(key);
        if (isFirst)
          problem(`Cannot open ${fieldName(service, port)} at ${address}: ${reasonOf(error)}; trying again every ${RETRY_MS} ms`, service);
      },
    });

  return {
    follow(checks, addresses) {
      counts = new Map(checks.map(({ family, localEndpoints }) => [family, localEndpoints]));
      const places = new Map(checks.flatMap((check) => placesOf(check, addresses)));
      for (const [key, listener] of listeners) {
        if (places.has(key)) continue;
        listener.close();
        listeners.delete(key);
        failing.delete(key);
      }
      for (const [key, place] of places) if (!listeners.has(key)) listeners.set(key, open(key, place));
    },
  };
}

const placesOf = ({ family, port }: HealthCheck, addresses: readonly Address[]): (readonly [string, ListenAddress])[] =>
  addresses.filter((address) => familyOf(address) === family).map((address) => [`${address} ${port}`, { address, family, port }]);

const fieldName = (service: string, port: number): string => `spec.healthCheckNodePort ${port} of Service ${service}`;
