/** Packets to Service addresses, of pods and of clients outside: who answers, and which client address the server sees. */
import { before, test } from 'node:test';
import type { Target } from '#lab/probe.ts';
import { ip, raise, restartAgent, routeServicesBy } from './ground.ts';
import {
  AWAY,
  balanced,
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  HERE,
  nodeAddress,
  nodePort,
  numbered,
  outerIP,
  type PodSpec,
  podAddress,
  slices,
} from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp } from './paths.ts';

const HOST: PodSpec = { name: 'h1', node: 'n1', hostNetwork: true };
const HOST_AWAY: PodSpec = { name: 'h2', node: 'n2', hostNetwork: true };
const OUTSIDE = { 4: '203.0.113.2', 6: '2001:db8:1::2' } as const;
const STRANGER = { 4: '198.18.0.2', 6: '2001:db8:bad::2' } as const;

/** Kinds of Services, and their numbers for an endpoint on n1 and on n2. */
const PLAIN = { here: 1, away: 2 };
const HOSTED = { here: 3, away: 4 };
const EXTERNAL_LOCAL = { here: 5, away: 6 };
const INTERNAL_LOCAL = { here: 7, away: 8 };
const RANGED = 9;
const LEAVING = { cluster: 11, local: 12, none: 13, preferred: 14 };
const EMPTY = 15;

const one = (number: number, pod: PodSpec, more: { spec?: object; status?: object } = {}): object[] => [
  numbered(`s${number}`, number, { ...balanced(number), ...more }),
  ...slices({ of: `s${number}`, pods: [pod] }),
];

const pair = (kind: { here: number; away: number }, pods: readonly [PodSpec, PodSpec], spec: object = {}): object[] => [
  ...one(kind.here, pods[0], balanced(kind.here, spec)),
  ...one(kind.away, pods[1], balanced(kind.away, spec)),
];

const terminating = { ready: false, serving: true, terminating: true };
const dead = { ready: false, serving: false, terminating: true };

/** Services whose endpoints are leaving: `local` has a ready one elsewhere. */
const leaving = (): object[] => [
  ...[numbered('cluster', LEAVING.cluster), ...slices({ of: 'cluster', pods: [{ ...HERE, conditions: terminating }] })],
  numbered('local', LEAVING.local, { spec: { type: 'NodePort', externalTrafficPolicy: 'Local' } }),
  ...slices({ of: 'local', pods: [{ ...HERE, conditions: terminating }, AWAY] }),
  ...[numbered('none', LEAVING.none), ...slices({ of: 'none', pods: [{ ...HERE, conditions: dead }] })],
  ...[numbered('preferred', LEAVING.preferred), ...slices({ of: 'preferred', pods: [{ ...HERE, conditions: terminating }, AWAY] })],
];

const lab = await raise('p', {
  pods: [HERE, AWAY, CLIENT, HOST, HOST_AWAY],
  objects: [
    ...pair(PLAIN, [HERE, AWAY]),
    ...pair(HOSTED, [HOST, HOST_AWAY]),
    ...pair(EXTERNAL_LOCAL, [HERE, AWAY], { externalTrafficPolicy: 'Local' }),
    ...pair(INTERNAL_LOCAL, [HERE, AWAY], { internalTrafficPolicy: 'Local' }),
    ...one(RANGED, AWAY, balanced(RANGED, { loadBalancerSourceRanges: [' 203.0.113.0/25', '2001:db8:1::/64'] })),
    ...[numbered('empty', EMPTY, balanced(EMPTY)), ...slices({ of: 'empty', pods: [] }), ...leaving()],
  ],
  agentFlags: ['--socket-scope', 'host'],
});

before(() => {
  for (const family of FAMILIES) {
    routeServicesBy(lab, nodeAddress('n1', family));
    for (const number of [PLAIN.away, HOSTED.away, EXTERNAL_LOCAL.away, RANGED])
      ip(lab, 'wire', `route replace ${outerIP(number, family)} via ${nodeAddress('n1', family)}`);
  }
});

type Dial = (address: string, port: number, more?: Partial<Target>) => Target;

/** Paths for each family and protocol. */
const each = (paths: (family: Family, target: Dial) => readonly Path[]): Path[] =>
  FAMILIES.flatMap((family) => [tcp, udp].flatMap((target) => paths(family, target)));

const check = (paths: (family: Family, target: Dial) => readonly Path[]): Promise<void> => assertPaths(lab, each(paths));

test('a pod reaches a ClusterIP under its own address, wherever the endpoint is', () =>
  check((family, target) => [
    ['t/p9', target(clusterIP(PLAIN.here, family), 80), answer(podAddress(CLIENT, family), 'p1')],
    ['t/p9', target(clusterIP(PLAIN.away, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p9', target(clusterIP(HOSTED.here, family), 80), answer(podAddress(CLIENT, family), 'h1')],
    ['t/p9', target(clusterIP(HOSTED.away, family), 80), answer(podAddress(CLIENT, family), 'h2')],
  ]));

test("a pod that reaches itself is seen under its node's address", () =>
  check((family, target) => [
    ['t/p1', target(clusterIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['t/p2', target(clusterIP(PLAIN.away, family), 80), answer(nodeAddress('n2', family), 'p2')],
    ['t/p1', target(clusterIP(PLAIN.here, family), 80, { localPort: 20_000 + family }), answer(nodeAddress('n1', family), 'p1')],
  ]));

test("a client outside reaches a ClusterIP under the node's address", () =>
  check((family, target) => [
    ['outside', target(clusterIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['outside', target(clusterIP(PLAIN.away, family), 80), answer(nodeAddress('n1', family), 'p2')],
  ]));

test("a client outside reaches NodePort and outer addresses under the node's address, a host-network pod here under its own", () =>
  check((family, target) =>
    (
      [
        [PLAIN.here, answer(nodeAddress('n1', family), 'p1')],
        [PLAIN.away, answer(nodeAddress('n1', family), 'p2')],
        [HOSTED.here, answer(OUTSIDE[family], 'h1')],
        [HOSTED.away, answer(nodeAddress('n1', family), 'h2')],
      ] as const
    ).flatMap(([number, expected]): Path[] => [
      ['outside', target(nodeAddress('n1', family), nodePort(number)), expected],
      ['outside', target(outerIP(number, family), 80), expected],
    ]),
  ));

test("pods reach NodePort and outer addresses under the node's address, too", () =>
  check((family, target) => [
    ['t/p9', target(nodeAddress('n1', family), nodePort(PLAIN.here)), answer(nodeAddress('n1', family), 'p1')],
    ['t/p9', target(nodeAddress('n1', family), nodePort(PLAIN.away)), answer(nodeAddress('n1', family), 'p2')],
    ['t/p9', target(outerIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['t/p1', target(nodeAddress('n1', family), nodePort(PLAIN.here)), answer(nodeAddress('n1', family), 'p1')],
    ['t/p9', target(nodeAddress('n2', family), nodePort(PLAIN.here)), answer(nodeAddress('n2', family), 'p1')],
  ]));

test('externalTrafficPolicy Local keeps outsiders here and their address; pods and the node go anywhere', () =>
  check((family, target) => [
    ['outside', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.here)), answer(OUTSIDE[family], 'p1')],
    ['outside', target(outerIP(EXTERNAL_LOCAL.here, family), 80), answer(OUTSIDE[family], 'p1')],
    ['outside', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), 'dropped'],
    ['outside', target(outerIP(EXTERNAL_LOCAL.away, family), 80), 'dropped'],
    ['outside', target(nodeAddress('n2', family), nodePort(EXTERNAL_LOCAL.away)), answer(OUTSIDE[family], 'p2')],
    ['t/p9', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p9', target(outerIP(EXTERNAL_LOCAL.away, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p9', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.here)), answer(podAddress(CLIENT, family), 'p1')],
    ['n1', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), answer(nodeAddress('n1', family), 'p2')],
    ['t/p9', target(clusterIP(EXTERNAL_LOCAL.away, family), 80), answer(podAddress(CLIENT, family), 'p2')],
  ]));

test('policy Local: a pod gets no answer at a NodePort of another node without an endpoint, whose endpoint answers past it [etp-local-other-node]', () =>
  check((family, target) => [
    ['t/p9', target(nodeAddress('n2', family), nodePort(EXTERNAL_LOCAL.here)), 'dropped'],
    ['t/p9', target(nodeAddress('n2', family), nodePort(EXTERNAL_LOCAL.away)), answer(podAddress(CLIENT, family), 'p2')],
  ]));

test('internalTrafficPolicy Local holds for the ClusterIP and for nothing else', () =>
  check((family, target) => [
    ['t/p9', target(clusterIP(INTERNAL_LOCAL.here, family), 80), answer(podAddress(CLIENT, family), 'p1')],
    ['t/p9', target(clusterIP(INTERNAL_LOCAL.away, family), 80), 'dropped'],
    ['t/p2', target(clusterIP(INTERNAL_LOCAL.away, family), 80), answer(nodeAddress('n2', family), 'p2')],
    ['outside', target(nodeAddress('n1', family), nodePort(INTERNAL_LOCAL.away)), answer(nodeAddress('n1', family), 'p2')],
    ['t/p9', target(nodeAddress('n1', family), nodePort(INTERNAL_LOCAL.away)), answer(nodeAddress('n1', family), 'p2')],
  ]));

test('source ranges close the LoadBalancer address to others, pods included, and nothing else', () =>
  check((family, target) => [
    ['outside', target(outerIP(RANGED, family), 80), answer(nodeAddress('n1', family), 'p2')],
    ['outside', target(outerIP(RANGED, family), 80, { localAddress: STRANGER[family] }), 'dropped'],
    ['t/p9', target(outerIP(RANGED, family), 80), 'dropped'],
    [
      'outside',
      target(nodeAddress('n1', family), nodePort(RANGED), { localAddress: STRANGER[family] }),
      answer(nodeAddress('n1', family), 'p2'),
    ],
    ['t/p9', target(clusterIP(RANGED, family), 80), answer(podAddress(CLIENT, family), 'p2')],
  ]));

test('endpoints that terminate answer while none is ready, for each policy by itself', () =>
  check((family, target) => [
    ['t/p9', target(clusterIP(LEAVING.cluster, family), 80), answer(podAddress(CLIENT, family), 'p1')],
    ['outside', target(nodeAddress('n1', family), nodePort(LEAVING.cluster)), answer(nodeAddress('n1', family), 'p1')],
    ['outside', target(nodeAddress('n1', family), nodePort(LEAVING.local)), answer(OUTSIDE[family], 'p1')],
    ['t/p9', target(clusterIP(LEAVING.local, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p9', target(clusterIP(LEAVING.preferred, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p9', target(clusterIP(LEAVING.none, family), 80), 'refused'],
  ]));

test('a Service without endpoints and a port that a ClusterIP lacks are refused, to pods and outside', () =>
  check((family, target) => [
    ['t/p9', target(clusterIP(EMPTY, family), 80), 'refused'],
    ['t/p9', target(nodeAddress('n1', family), nodePort(EMPTY)), 'refused'],
    ['t/p9', target(clusterIP(PLAIN.here, family), 81), 'refused'],
    ['outside', target(clusterIP(EMPTY, family), 80), 'refused'],
    ['outside', target(nodeAddress('n1', family), nodePort(EMPTY)), 'refused'],
    ['outside', target(outerIP(EMPTY, family), 80), 'refused'],
    ['outside', target(clusterIP(PLAIN.away, family), 81), 'refused'],
    ['outside', target(clusterIP(99, family), 80), 'dropped'],
    ['t/p9', target(clusterIP(99, family), 80), 'dropped'],
  ]));

test('NodePorts answer on the primary addresses, or on addresses of the named networks', async () => {
  const more = { 4: '192.0.2.111', 6: 'fd00:2::111' } as const;
  // A deprecated address is not taken for the source of new flows
  ip(lab, 'n1', `addr add ${more[4]}/24 dev eth0`);
  ip(lab, 'n1', `addr add ${more[6]}/64 dev eth0 preferred_lft 0`);
  const on =
    (address: Readonly<Record<Family, string>>, expected: boolean) =>
    (family: Family, target: Dial): Path => [
      'outside',
      target(address[family], nodePort(PLAIN.away)),
      expected ? answer(nodeAddress('n1', family), 'p2') : 'refused',
    ];
  const primary = { 4: nodeAddress('n1'), 6: nodeAddress('n1', 6) };
  await check((family, target) => [on(primary, true)(family, target), on(more, false)(family, target)]);
  await restartAgent(lab, 'n1', '--nodeport-addresses', '192.0.2.111/32,fd00:2::111/128');
  await check((family, target) => [on(primary, false)(family, target), on(more, true)(family, target)]);
});

test('--masquerade-all gives every packet to a ClusterIP the address of the node', async () => {
  await restartAgent(lab, 'n1', '--masquerade-all');
  await check((family, target) => [
    ['t/p9', target(clusterIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['t/p9', target(clusterIP(PLAIN.away, family), 80), answer(nodeAddress('n1', family), 'p2')],
    ['outside', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.here)), answer(OUTSIDE[family], 'p1')],
  ]);
});

test('without a local detector nothing to a ClusterIP gets another source, and pods are outsiders', async () => {
  await restartAgent(lab, 'n1', '--cluster-cidr', '');
  await check((family, target) => [
    ['outside', target(clusterIP(PLAIN.here, family), 80), answer(OUTSIDE[family], 'p1')],
    ['t/p9', target(clusterIP(PLAIN.away, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p1', target(clusterIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['t/p9', target(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), 'dropped'],
    ['outside', target(nodeAddress('n1', family), nodePort(PLAIN.away)), answer(nodeAddress('n1', family), 'p2')],
  ]);
});
