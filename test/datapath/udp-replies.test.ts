/** UDP servers whose client has the address and port of a Service, as behind a balancer that keeps the port: the client gets the reply. */
import { test } from 'node:test';
import { raise } from './ground.ts';
import {
  AWAY,
  clusterIP,
  FAMILIES,
  type Family,
  HERE,
  nodeAddress,
  nodePort,
  numbered,
  type PodSpec,
  podAddress,
  service,
  slices,
} from './objects.ts';
import { answer, assertPaths, type Path, udp, untilAnsweredBy } from './paths.ts';

const HOST: PodSpec = { name: 'h1', node: 'n1', hostNetwork: true };
const [SERVED, TAKEN] = [1, 2];
/** Of the client outside. */
const CLIENT = { 4: '203.0.113.2', 6: '2001:db8:1::2' } as const;
const [FIRST_PORT, SECOND_PORT] = [5060, 5061];

const lab = await raise('y', {
  pods: [HERE, AWAY, HOST],
  objects: [
    numbered('served', SERVED, { spec: { type: 'NodePort', externalTrafficPolicy: 'Local' } }),
    ...slices({ of: 'served', pods: [HERE] }),
  ],
});

const portsOf = (target: (port: number) => number) =>
  [FIRST_PORT, SECOND_PORT].map((port) => ({ name: `p${port}`, protocol: 'UDP' as const, port: target(port) }));

/** A Service at the address of the client; the lab does not know it, or would route the address to a node. */
const taken = [
  service({
    name: 'taken',
    clusterIPs: FAMILIES.map((family) => clusterIP(TAKEN, family)),
    ports: portsOf((port) => port),
    spec: { type: 'ClusterIP', externalIPs: FAMILIES.map((family) => CLIENT[family]) },
  }),
  ...slices({ of: 'taken', pods: [AWAY], ports: portsOf(() => 8081) }),
];

const from = (family: Family, localPort: number) => ({ localAddress: CLIENT[family], localPort });

test('the reply of a pod and of a host-network server goes to the client, not to the Service there [udp-reply]', async () => {
  lab.writeManifest('taken.json', taken);
  const served = FAMILIES.map((family) => untilAnsweredBy(lab, 't/p1', udp(CLIENT[family], FIRST_PORT), 'p2'));
  await Promise.all(served);
  await assertPaths(
    lab,
    FAMILIES.flatMap((family): Path[] => [
      ['outside', udp(nodeAddress('n1', family), nodePort(SERVED), from(family, FIRST_PORT)), answer(CLIENT[family], 'p1')],
      ['outside', udp(nodeAddress('n1', family), 8081, from(family, SECOND_PORT)), answer(CLIENT[family], 'h1')],
      ['t/p1', udp(CLIENT[family], FIRST_PORT), answer(podAddress(HERE, family), 'p2')],
    ]),
  );
});
