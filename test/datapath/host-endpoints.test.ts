/** Endpoints in the host network whose address and port are also a Service's: a flow is translated once [translated-once]. */
import { test } from 'node:test';
import type { Target } from '#lab/probe.ts';
import { raise } from './ground.ts';
import {
  AWAY,
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  nodeAddress,
  numbered,
  type PodSpec,
  podAddress,
  service,
  slices,
} from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp } from './paths.ts';

const HOST: PodSpec = { name: 'h1', node: 'n1', hostNetwork: true };
const AFAR: PodSpec = { name: 'h2', node: 'n2', hostNetwork: true };
const [HOSTED, NEAR_ONLY, OTHER] = [1, 2, 3];

/** As k3s's servicelb does: the load balancer's addresses are the nodes', and its ports the target ports of host-network pods. */
const other = service({
  name: 'other',
  clusterIPs: FAMILIES.map((family) => clusterIP(OTHER, family)),
  ports: [
    { name: 'tcp', protocol: 'TCP', port: 8080 },
    { name: 'udp', protocol: 'UDP', port: 8081 },
  ],
  spec: { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false },
  status: { loadBalancer: { ingress: FAMILIES.flatMap((family) => ['n1', 'n2'].map((node) => ({ ip: nodeAddress(node, family) }))) } },
});

const lab = await raise('h', {
  pods: [HOST, AFAR, AWAY, CLIENT],
  objects: [
    ...[numbered('hosted', HOSTED), ...slices({ of: 'hosted', pods: [HOST] })],
    ...[
      numbered('near', NEAR_ONLY, { spec: { type: 'NodePort', internalTrafficPolicy: 'Local' } }),
      ...slices({ of: 'near', pods: [HOST, AFAR] }),
    ],
    ...[other, ...slices({ of: 'other', pods: [AWAY] })],
  ],
});

/** Every kind of socket that a pod and the node dial with. */
const kinds: readonly ((address: string, port: number) => Target)[] = [
  tcp,
  udp,
  (address, port) => udp(address, port, { unconnected: true }),
];

const each = (paths: (family: Family, target: (address: string, port: number) => Target) => readonly Path[]): Path[] =>
  FAMILIES.flatMap((family) => kinds.flatMap((target) => paths(family, target)));

test('a host-network endpoint of the same node answers a pod although another Service has its address and port [translated-once]', () =>
  assertPaths(
    lab,
    each((family, target) => [
      ['t/p9', target(clusterIP(HOSTED, family), 80), answer(podAddress(CLIENT, family), 'h1')],
      ['t/p9', target(clusterIP(NEAR_ONLY, family), 80), answer(podAddress(CLIENT, family), 'h1')],
      ['n1', target(clusterIP(HOSTED, family), 80), answer(nodeAddress('n1', family), 'h1')],
    ]),
  ));

test('a socket of a pod that dials that address and port itself reaches the Service there', () =>
  assertPaths(
    lab,
    FAMILIES.flatMap((family): Path[] => [
      ['t/p9', tcp(nodeAddress('n1', family), 8080), answer(podAddress(CLIENT, family), 'p2')],
      ['t/p9', udp(nodeAddress('n1', family), 8081), answer(podAddress(CLIENT, family), 'p2')],
      ['n1', tcp(nodeAddress('n1', family), 8080), answer(nodeAddress('n1', family), 'p2')],
    ]),
  ));
