/** What somebody hears who asks for the health of a Service on this node. */
export interface Answer {
  readonly status: 200 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Status, headers and body as kube-proxy has them (service_health.go, ServeHTTP). `service`: `namespace/name`. */
export function healthAnswer(service: string, localEndpoints: number, serviceProxyHealthy: boolean): Answer {
  const [namespace, name] = service.split('/');
  return {
    status: localEndpoints > 0 && serviceProxyHealthy ? 200 : 503,
    headers: {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
    },
    body: JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }, null, '\t'),
  };
}
