import { type Address, type Prefix, parseAddress, parsePrefix } from '#lib/address.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';

/* Model values for tests: a test sets the fields it needs, these set the rest. Addresses follow upstream's plan: */
/* pods 10.0.0.0/8, Services 172.30.0.0/16, node 192.168.0.2, outside client 203.0.113.2. */

/** Throws if `text` is not an address. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`Test address is ${text}, must be an IP address`);
  return parsed;
}

/** Throws if `text` is not a network. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`Test network is ${text}, must be a network`);
  return parsed;
}

/** A ready endpoint without a node. */
export const endpoint = (ip: string, rest: Partial<Endpoint> = {}): Endpoint => ({
  address: address(ip),
  ready: true,
  serving: true,
  terminating: false,
  nodeName: '',
  hintZones: [],
  hintNodes: [],
  pod: '',
  ...rest,
});

/** A slice of Service ns1/svc1 with port p80, TCP 80. */
export const slice = (endpoints: readonly Endpoint[], rest: Partial<EndpointSlice> = {}): EndpointSlice => ({
  namespace: 'ns1',
  name: 'svc1-abc12',
  serviceName: 'svc1',
  family: 4,
  endpoints,
  ports: [{ name: 'p80', protocol: 'TCP', port: 80 }],
  triggeredAt: 0,
  ...rest,
});

/** Service ns1/svc1 at 172.30.0.41 with port p80, TCP 80. */
export const service = (rest: Partial<Service> = {}): Service => ({
  namespace: 'ns1',
  name: 'svc1',
  createdAt: '2026-01-01T00:00:00Z',
  proxied: true,
  clusterIPs: [address('172.30.0.41')],
  externalIPs: [],
  loadBalancerIPs: [],
  sourceRanges: [],
  ports: [{ name: 'p80', protocol: 'TCP', port: 80, nodePort: 0 }],
  internalTrafficPolicy: 'Cluster',
  externalTrafficPolicy: 'Cluster',
  affinitySeconds: 0,
  healthCheckNodePort: 0,
  ...rest,
});
