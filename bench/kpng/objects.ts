/** Kubernetes objects of a cluster of many nodes. */
import { clusterIP, ENDPOINT_PORT, endpoint, type Size } from '../api/objects.ts';

/** The node of endpoint `e` of Service `n`. */
const nodeOf = (n: number, e: number, nodes: number): string => `n${(n * 7 + e) % nodes}`;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Nodes n0, n1 and so on, in two zones. */
export const nodes = (count: number): object[] =>
  numbers(count).map((n) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${n}`, labels: { 'topology.kubernetes.io/zone': n % 2 === 0 ? 'a' : 'b' } },
    status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${n + 1}` }] },
  }));

/** Service `n` with endpoints 0 to `count` - 1; `first` is the address of the first one. */
export function service(n: number, count: number, nodeCount: number, first = endpoint(n, 0)): object[] {
  const endpoints = numbers(count).map((e) => ({
    addresses: [e === 0 ? first : endpoint(n, e)],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: nodeOf(n, e, nodeCount),
    targetRef: { kind: 'Pod', namespace: 't', name: `s${n}-7d9c6b5f4d-${e}` },
  }));
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `s${n}`, namespace: 't' },
      spec: { clusterIP: clusterIP(n), ports: [{ name: 'http', protocol: 'TCP', port: 80 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `s${n}-x7k2p`, namespace: 't', labels: { 'kubernetes.io/service-name': `s${n}` } },
      ...{ addressType: 'IPv4', endpoints, ports: [{ name: 'http', protocol: 'TCP', port: ENDPOINT_PORT }] },
    },
  ];
}

/** Services 0 to `services` - 1. */
export const services = ({ services: count, endpoints }: Size, nodeCount: number): object[] =>
  numbers(count).flatMap((n) => service(n, endpoints, nodeCount));
