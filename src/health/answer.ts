import type { HttpAnswer } from '#http/answer.ts';
import { type HttpRoutes, route } from '#http/routes.ts';
import type { ProxyHealth } from './proxy-health.ts';

const JSON_HEADERS = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' };

/** Status, headers and body as kube-proxy has them (service_health.go, ServeHTTP). `service`: `namespace/name`. */
export function healthAnswer(service: string, localEndpoints: number, serviceProxyHealthy: boolean): HttpAnswer {
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

interface ProxyState {
  readonly proxyHealth: Pick<ProxyHealth, 'isHealthy' | 'sinceFlushMs'>;
  readonly nodeEligible: boolean;
  readonly now: number;
}

const PROXY_ROUTES: HttpRoutes<ProxyState> = {
  '/healthz': (state) => stateAnswer(state, state.proxyHealth.isHealthy() && state.nodeEligible, { nodeEligible: state.nodeEligible }),
  '/livez': (state) => stateAnswer(state, state.proxyHealth.isHealthy()),
  '/readyz': (state) => stateAnswer(state, state.proxyHealth.sinceFlushMs() !== undefined),
};

/**
 * `/healthz`: whether load balancers should send new connections to this node; 503 for a node that is about to be removed. `/livez`: whether
 * the agent keeps up, whatever the state of the node. Bodies as kube-proxy has them (proxy_health.go, ServeHTTP; KEP-3836): `lastUpdated` is
 * the current time where the status is 200. `/readyz`, which kube-proxy does not have: whether the kernel has once matched this agent's
 * source. `now`: ms since 1970.
 */
export const proxyAnswer = (path: string, proxyHealth: ProxyState['proxyHealth'], nodeEligible: boolean, now: number): HttpAnswer =>
  route(PROXY_ROUTES, path, { proxyHealth, nodeEligible, now });

function stateAnswer({ proxyHealth, now }: ProxyState, isFine: boolean, more: object = {}): HttpAnswer {
  const lastUpdated = new Date(isFine ? now : now - (proxyHealth.sinceFlushMs() ?? now)).toISOString();
  const body = JSON.stringify({ lastUpdated, currentTime: new Date(now).toISOString(), ...more });
  return { status: isFine ? 200 : 503, headers: JSON_HEADERS, body };
}
