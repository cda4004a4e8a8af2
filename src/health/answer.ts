import { type Answer, NOT_FOUND } from '#http/answer.ts';
import type { ProxyHealth } from './proxy-health.ts';

const JSON_HEADERS = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' };

/** Status, headers and body as kube-proxy has them (service_health.go, ServeHTTP). `service`: `namespace/name`. */
export function healthAnswer(service: string, localEndpoints: number, serviceProxyHealthy: boolean): Answer {
  const [namespace, name] = service.split('/');
  return {
    status: localEndpoints > 0 && serviceProxyHealthy ? 200 : 503,
    headers: {
      ...JSON_HEADERS,
      'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
    },
    body: JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }, null, '\t'),
  };
}

/**
 * `/healthz`: whether load balancers should send this node new connections, so a node that is about to go says 503. `/livez`: whether the
 * agent does its work, whatever becomes of the node. Bodies as kube-proxy has them (proxy_health.go, ServeHTTP; KEP-3836): `lastUpdated` is
 * the current time where all is well. `/readyz`, which kube-proxy does not have: whether the kernel has once been as this agent's source
 * says. `now`: ms since 1970.
 */
export function proxyAnswer(
  path: string,
  proxyHealth: Pick<ProxyHealth, 'isHealthy' | 'sinceFlushMs'>,
  nodeEligible: boolean,
  now: number,
): Answer {
  const answers: Readonly<Record<string, boolean>> = {
    '/healthz': proxyHealth.isHealthy() && nodeEligible,
    '/livez': proxyHealth.isHealthy(),
    '/readyz': proxyHealth.sinceFlushMs() !== undefined,
  };
  const isFine = answers[path];
  if (isFine === undefined) return NOT_FOUND;
  const lastUpdated = new Date(isFine ? now : now - (proxyHealth.sinceFlushMs() ?? now)).toISOString();
  const said = { lastUpdated, currentTime: new Date(now).toISOString(), ...(path === '/healthz' && { nodeEligible }) };
  return { status: isFine ? 200 : 503, headers: JSON_HEADERS, body: JSON.stringify(said) };
}
