/** Kubernetes objects of clusters as large as wished: Services `t/sNUMBER` with a ClusterIP on port 80 and a slice each. */
import type { ApiObject } from '../../test/cluster/api-client.ts';
import { service } from '../../test/datapath/objects.ts';
import { unusedAddress } from '../../test/scale/objects.ts';

export const NODE_NAME = 'n1';
export const SERVICE_PORT = 80;
export const ENDPOINT_PORT = 8080;

/** Holds every endpoint. */
export const ENDPOINT_RANGE = '10.16.0.0/12';

/** Endpoints that a Service may have at most, over time. */
export const MAX_ENDPOINTS = 16;

/** What a cluster holds. */
export interface Size {
  readonly services: number;
  /** Of each Service. */
  readonly endpoints: number;
}

/** ClusterIP of Service `n`. */
export const clusterIP = (n: number): string => `10.96.${1 + (n >> 8)}.${n & 255}`;

/** Address of endpoint `e` of Service `n`. */
export const endpoint = unusedAddress;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Endpoints 0 to `count` - 1 of Service `n`. */
export const endpointsOf = (n: number, count: number): string[] => numbers(count).map((e) => endpoint(n, e));

/** The slice of Service `n`. */
export function slice(n: number, addresses: readonly string[]): ApiObject {
  const object = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `s${n}-x7k2p`, namespace: 't', labels: { 'kubernetes.io/service-name': `s${n}` } },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: ENDPOINT_PORT }],
    endpoints: addresses.map((address, e) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: NODE_NAME,
      targetRef: { kind: 'Pod', namespace: 't', name: `s${n}-7d9c6b5f4d-${e}` },
    })),
  };
  return object;
}

/** Services `first` to `first` + `services` - 1 and their slices. */
export function cluster({ services, endpoints }: Size, first = 0): ApiObject[] {
  const ports = [{ name: 'http', protocol: 'TCP', port: SERVICE_PORT }] as const;
  return numbers(services).flatMap((i) => {
    const n = first + i;
    return [service({ name: `s${n}`, clusterIPs: [clusterIP(n)], ports }) as ApiObject, slice(n, endpointsOf(n, endpoints))];
  });
}
