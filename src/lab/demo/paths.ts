import type { Lab } from '../lab.ts';
import type { Target } from '../probe.ts';
import { OUTSIDE_ADDRESSES, STRANGER_ADDRESSES } from '../topology.ts';
import type { Expectation, Path } from './line.ts';
import { EMPTY, FAR, LOCAL } from './objects.ts';

/** How sockets of pods are served: by their sockets, or as packets. */
export type SocketScope = 'all' | 'host';

const tcp = (address: string, port: number): Target => ({ protocol: 'tcp', address, port });
const udp = (address: string, port: number): Target => ({ protocol: 'udp', address, port });

/** Addresses of the sample's Services. */
const LEDGER = '10.96.157.232';
const DNS = '10.96.0.53';
const CART = '10.96.24.97';
const CART6 = 'fd00:96::a3bc';
const FRONT = '10.96.114.137';
const FRONT6 = 'fd00:96::f867';
const TELEMETRY = '10.96.110.96';
const LEGACY = '10.96.75.43';
const API = '10.96.0.1';
const EMPTY_IP = '10.96.102.242';
const BALANCER = '198.51.100.22';
const EXTERNAL = '198.51.100.200';
const N1 = '192.0.2.11';
const N2 = '192.0.2.12';
const N3 = '192.0.2.13';
const [N1_V6, N2_V6, N3_V6] = ['fd00:2::11', 'fd00:2::12', 'fd00:2::13'];
const [CLIENT = ''] = OUTSIDE_ADDRESSES;
const [STRANGER = ''] = STRANGER_ADDRESSES;

/** A pod of the sample by application and node. */
export function podOf(lab: Lab, app: string, node: string) {
  const pod = lab.topology.pods.find((candidate) => candidate.node === node && candidate.name.split('/')[1]?.startsWith(`${app}-`));
  if (!pod) throw new Error(`There is no pod of "${app}" on ${node}`);
  return pod;
}

/** The participants: the sample's pods by name, and how to name expectations of them. */
interface Cast {
  readonly cart1: string;
  readonly cart2: string;
  readonly front1: string;
  readonly front2: string;
  readonly front3: string;
  readonly ledger: string;
  readonly dns: string;
  pod(app: string, node: string): string;
  address(app: string, node: string, v6?: boolean): string;
  /** A packet that comes back to its own sender, or goes to an outer address, takes the node's address; a socket's does not. */
  own(podAddress: string, nodeAddress: string): string;
}

function castOf(lab: Lab, scope: SocketScope): Cast {
  const pod = (app: string, node: string): string => podOf(lab, app, node).name;
  const [cart1, cart2] = [pod('cart', 'n1'), pod('cart', 'n2')];
  const [front1, front2, front3] = [pod('storefront', 'n1'), pod('storefront', 'n2'), pod('storefront', 'n3')];
  return {
    ...{ cart1, cart2, front1, front2, front3, ledger: pod('ledger', 'n2'), dns: pod('coredns', 'n2'), pod },
    address: (app, node, v6 = false) => podOf(lab, app, node).addresses.find((address) => address.includes(':') === v6) ?? '',
    own: (podAddress, nodeAddress) => (scope === 'all' ? podAddress : nodeAddress),
  };
}

const by = (client: string, ...answeredBy: string[]): Expectation => ({ answeredBy, client });

const section = (name: string, paths: readonly (readonly [from: string, to: string, Target, Expectation])[]): Path[] =>
  paths.map(([from, to, target, expected]) => ({ section: name, from, to, target, expected }));

/** Every path of the demo, with what a proxy that follows Kubernetes makes of it. */
export function demoPaths(lab: Lab, scope: SocketScope): Path[] {
  const cast = castOf(lab, scope);
  return [podPaths, nodePaths, nodePortPaths, outerPaths].flatMap((paths) => paths(cast));
}

/** Pods to ClusterIPs, themselves included. */
function podPaths({ cart1, cart2, front1, front2, front3, ledger, dns, address, own }: Cast): Path[] {
  return [
    ...section('Pod to ClusterIP, answered on the same node', [
      [cart2, 'ledger-rw', tcp(LEDGER, 5432), by(address('cart', 'n2'), ledger)],
      [cart2, 'kube-dns', udp(DNS, 53), by(address('cart', 'n2'), dns)],
      [cart1, 'storefront-internal', tcp(FRONT6, 8080), by(address('cart', 'n1', true), front1)],
      [cart1, 'storefront-internal', udp(FRONT6, 8080), by(address('cart', 'n1', true), front1)],
    ]),
    ...section('Pod to ClusterIP, answered on another node', [
      [cart1, 'ledger-rw', tcp(LEDGER, 5432), by(address('cart', 'n1'), ledger)],
      [cart1, 'kube-dns', udp(DNS, 53), by(address('cart', 'n1'), dns)],
      [front3, 'cart', tcp(CART6, 7070), by(address('storefront', 'n3', true), cart1, cart2)],
      [cart1, 'far', udp(FAR.v6, FAR.port), by(address('cart', 'n1', true), front2)],
    ]),
    ...section('Pod to ClusterIP from an IPv6 socket (::ffff:a.b.c.d)', [
      [cart1, 'ledger-rw, mapped', tcp(`::ffff:${LEDGER}`, 5432), by(address('cart', 'n1'), ledger)],
      [cart1, 'kube-dns, mapped', udp(`::ffff:${DNS}`, 53), by(address('cart', 'n1'), dns)],
    ]),
    ...section('Pod to itself through its Service', [
      [ledger, 'ledger-rw', tcp(LEDGER, 5432), by(own(address('ledger', 'n2'), N2), ledger)],
      [front2, 'far', tcp(FAR.v6, FAR.port), by(own(address('storefront', 'n2', true), N2_V6), front2)],
    ]),
    ...section('Endpoints by hand, on no node', [
      [cart1, 'legacy', tcp(LEGACY, 80), by(address('cart', 'n1'), '192.0.2.1')],
      [cart1, 'kubernetes', tcp(API, 443), by(address('cart', 'n1'), '192.0.2.10')],
    ]),
  ];
}

/** A node's own processes, and Services that only this node answers. */
function nodePaths({ cart1, cart2, front1, front3, ledger, dns, pod, address }: Cast): Path[] {
  return [
    ...section('Node to ClusterIP', [
      ['n2', 'ledger-rw here', tcp(LEDGER, 5432), by(N2, ledger)],
      ['n1', 'ledger-rw elsewhere', tcp(LEDGER, 5432), by(N1, ledger)],
      ['n1', 'kube-dns elsewhere', udp(DNS, 53), by(N1, dns)],
      ['n1', 'storefront-internal', udp(FRONT, 8080), by(N1, front1)],
      ['n3', 'cart elsewhere', tcp(CART6, 7070), by(N3_V6, cart1, cart2)],
    ]),
    ...section('internalTrafficPolicy Local, host-network pods', [
      [cart1, 'telemetry', tcp(TELEMETRY, 9464), by(address('cart', 'n1'), pod('telemetry', 'n1'))],
      [front3, 'telemetry', udp(TELEMETRY, 8125), by(address('storefront', 'n3'), pod('telemetry', 'n3'))],
      ['n2', 'telemetry', udp(TELEMETRY, 8125), by(N2, pod('telemetry', 'n2'))],
    ]),
  ];
}

/** NodePorts from everywhere. */
function nodePortPaths({ cart1, front2, ledger, address, own }: Cast): Path[] {
  return [
    ...section('Outside to NodePort, answered on the node dialled', [
      ['outside', 'n2:31452', tcp(N2, 31452), by(N2, ledger)],
      ['outside', `n2:${FAR.nodePort}`, udp(N2, FAR.nodePort), by(N2, front2)],
      ['outside', `n2:${FAR.nodePort}`, tcp(N2_V6, FAR.nodePort), by(N2_V6, front2)],
    ]),
    ...section('Outside to NodePort, answered on another node', [
      ['outside', 'n1:31452', tcp(N1, 31452), by(N1, ledger)],
      ['outside', `n1:${FAR.nodePort}`, udp(N1, FAR.nodePort), by(N1, front2)],
      ['outside', `n1:${FAR.nodePort}`, udp(N1_V6, FAR.nodePort), by(N1_V6, front2)],
    ]),
    ...section('Pod and node to NodePort', [
      [cart1, 'n1:31452', tcp(N1, 31452), by(own(address('cart', 'n1'), N1), ledger)],
      ['n1', 'n1:31452', tcp(N1, 31452), by(N1, ledger)],
      ['n1', 'localhost:31452', tcp('127.0.0.1', 31452), by(N1, ledger)],
    ]),
  ];
}

/** Addresses and policies for clients outside, and refusals. */
function outerPaths({ cart1, front1, front2, front3, ledger, address, own }: Cast): Path[] {
  return [
    ...section('externalTrafficPolicy Local', [
      ['outside', 'n1:31721', tcp(N1, 31721), by(CLIENT, front1)],
      ['outside', 'n3:31721', tcp(N3, 31721), by(CLIENT, front3)],
      ['outside', `n2:${LOCAL.nodePort}`, tcp(N2, LOCAL.nodePort), by(CLIENT, front2)],
      ['outside', `n1:${LOCAL.nodePort}, none here`, tcp(N1, LOCAL.nodePort), 'dropped'],
      [cart1, `n1:${LOCAL.nodePort}, none here`, tcp(N1, LOCAL.nodePort), by(address('cart', 'n1'), front2)],
    ]),
    ...section('LoadBalancer and external addresses', [
      ['outside', `${BALANCER}:80`, tcp(BALANCER, 80), by(CLIENT, front1)],
      ['outside', `${BALANCER}, stranger`, { ...tcp(BALANCER, 80), localAddress: STRANGER }, 'dropped'],
      ['outside', `${EXTERNAL}:5432`, tcp(EXTERNAL, 5432), by(N2, ledger)],
      [cart1, `${EXTERNAL}:5432`, tcp(EXTERNAL, 5432), by(own(address('cart', 'n1'), N1), ledger)],
    ]),
    ...section('No endpoint', [
      [cart1, 'recommendations', tcp(EMPTY_IP, 80), 'refused'],
      ['n1', 'recommendations', tcp(EMPTY_IP, 80), 'refused'],
      ['outside', `n1:${EMPTY.nodePort}`, tcp(N1, EMPTY.nodePort), 'refused'],
      [cart1, 'cart, another port', tcp(CART, 7071), 'refused'],
    ]),
  ];
}
