import type { LabPod } from '../topology.ts';

/** A Service of the demo's own, for what the sample has none of. Ports are named by their protocol. */
interface DemoService {
  readonly name: string;
  readonly clusterIPs: readonly string[];
  readonly spec?: object;
  readonly ports: readonly object[];
  readonly pods: readonly LabPod[];
}

/** Cluster addresses and node ports of these Services: none of them is the sample's. */
export const FAR = { v4: '10.96.222.1', v6: 'fd00:96::de01', port: 7000, nodePort: 30700 };
export const LOCAL = { v4: '10.96.222.2', port: 7000, nodePort: 30701 };
export const EMPTY = { v4: '10.96.222.3', port: 7000, nodePort: 30702 };
export const SPREAD = { v4: '10.96.222.4', port: 7000 };
export const SWAP = { v4: '10.96.222.5', port: 5432, nodePort: 30703 };

/** Ports that the sample's storefront pods listen on. */
const HTTP = 8080;
const STATUS = 8081;

const port = (protocol: 'TCP' | 'UDP', number: number, nodePort?: number): object => ({
  name: protocol.toLowerCase(),
  protocol,
  port: number,
  ...(nodePort && { nodePort }),
});

/** The demo's Services and their slices, as the API has them. `swap` is answered by the pod given. */
export function demoObjects(pods: { readonly far: LabPod; readonly all: readonly LabPod[]; readonly swap: LabPod }): object[] {
  const { far, all, swap } = pods;
  const nodePorts = { type: 'NodePort' };
  return [
    ...objects({
      name: 'far',
      clusterIPs: [FAR.v4, FAR.v6],
      spec: nodePorts,
      ports: [port('TCP', FAR.port, FAR.nodePort), port('UDP', FAR.port, FAR.nodePort)],
      pods: [far],
    }),
    ...objects({
      name: 'local',
      clusterIPs: [LOCAL.v4],
      spec: { ...nodePorts, externalTrafficPolicy: 'Local' },
      ports: [port('TCP', LOCAL.port, LOCAL.nodePort)],
      pods: [far],
    }),
    ...objects({ name: 'empty', clusterIPs: [EMPTY.v4], spec: nodePorts, ports: [port('TCP', EMPTY.port, EMPTY.nodePort)], pods: [] }),
    ...objects({ name: 'spread', clusterIPs: [SPREAD.v4], ports: [port('UDP', SPREAD.port)], pods: all }),
    ...objects(
      { name: 'swap', clusterIPs: [SWAP.v4], spec: nodePorts, ports: [port('TCP', SWAP.port, SWAP.nodePort)], pods: [swap] },
      SWAP.port,
    ),
  ];
}

function objects(service: DemoService, targetPort = HTTP): object[] {
  const families = service.clusterIPs.map((address) => (address.includes(':') ? 'IPv6' : 'IPv4'));
  const metadata = { name: service.name, namespace: 'demo' };
  const spec = {
    type: 'ClusterIP',
    ...service.spec,
    clusterIP: service.clusterIPs[0],
    clusterIPs: service.clusterIPs,
    ipFamilies: families,
  };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ...spec, ports: service.ports } },
    ...families.map((family) => slice(service, family, targetPort)),
  ];
}

function slice({ name, pods }: DemoService, family: string, targetPort: number): object {
  const endpoints = pods.flatMap((pod) => {
    const address = pod.addresses.find((candidate) => candidate.includes(':') === (family === 'IPv6'));
    const [namespace, podName] = pod.name.split('/');
    const targetRef = { kind: 'Pod', namespace, name: podName };
    return address ? [{ addresses: [address], conditions: { ready: true }, nodeName: pod.node, targetRef }] : [];
  });
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-${family.toLowerCase()}`, namespace: 'demo', labels: { 'kubernetes.io/service-name': name } },
    addressType: family,
    ports: [
      { name: 'tcp', protocol: 'TCP', port: targetPort },
      { name: 'udp', protocol: 'UDP', port: STATUS },
    ],
    endpoints,
  };
}
