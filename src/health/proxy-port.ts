import type { Endpoint } from '#lib/address.ts';
import { proxyAnswer } from './answer.ts';
import { type Listener, listen, RETRY_MS, reasonOf } from './listener.ts';
import type { ProxyHealth } from './proxy-health.ts';

interface Parts {
  /** Where to listen; `::` takes IPv4 too, as Go does for kube-proxy. */
  readonly at: Endpoint;
  readonly proxyHealth: Pick<ProxyHealth, 'isHealthy' | 'sinceFlushMs'>;
  /** Whether load balancers may send this node more, see proxyAnswer(). */
  readonly isNodeEligible: () => boolean;
  /** Told once of a port that cannot be opened, until it could. */
  readonly problem: (message: string) => void;
  readonly note: (message: string) => void;
}

/** Serves `/healthz` and `/livez` as kube-proxy does (--healthz-bind-address), until it is closed. */
export function openProxyPort({ at, proxyHealth, isNodeEligible, problem, note }: Parts): Listener {
  const name = `--healthz-bind-address ${at.address.includes(':') ? `[${at.address}]` : at.address}:${at.port}`;
  let isFailing = false;
  return listen({
    ...at,
    bothFamilies: true,
    answer: (path) => proxyAnswer(path, proxyHealth, isNodeEligible(), Date.now()),
    onOpen() {
      if (isFailing) note(`Opened ${name}`);
      isFailing = false;
    },
    onError(error) {
      if (!isFailing) problem(`Cannot open ${name}: ${reasonOf(error)}; trying again every ${RETRY_MS} ms`);
      isFailing = true;
    },
  });
}
