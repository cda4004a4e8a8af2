/** Health check node ports, asked by a load balancer outside: which nodes have endpoints for a Service that keeps clients' addresses. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { hostPort } from '#lib/host-port.ts';
import { inside, raise, restartAgent } from './ground.ts';
import { balanced, clusterIP, FAMILIES, node, nodeAddress, nodePort, numbered, type PodSpec, parked, slices } from './objects.ts';
import { answer, assertPaths, tcp, until } from './paths.ts';

const [P1, P2, AWAY]: readonly [PodSpec, PodSpec, PodSpec] = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n1' },
  { name: 'p3', node: 'n2' },
];
const [WEB, OTHER] = [1, 2];
const PORT = 31_051;
const OUTSIDE = '203.0.113.2';

interface Said {
  readonly status: number;
  readonly weight: string;
  readonly type: string;
  readonly body: string;
}

const lab = await raise('h', { pods: [P1, P2, AWAY], objects: [...web({}), ...answered(P1, P2, AWAY)] });

/** A LoadBalancer Service with policy Local and the given differences. */
function web({ spec = {}, labels = {} }: { spec?: object; labels?: object }): object[] {
  const rest = balanced(WEB, { externalTrafficPolicy: 'Local', healthCheckNodePort: PORT, ...spec });
  const service = numbered('web', WEB, rest) as { metadata: object };
  return [{ ...service, metadata: { ...service.metadata, labels } }];
}

function answered(...pods: readonly (PodSpec & { conditions?: object })[]): object[] {
  return slices({ of: 'web', pods });
}

/** The port's answer to an outsider; the name of an error if no process listens. */
const ask = (address: string, port = PORT, path = 'healthz'): Promise<Said | string> =>
  inside(
    lab,
    'outside',
    (url: string) =>
      fetch(url, { signal: AbortSignal.timeout(5000) }).then(
        async (response): Promise<Said | string> => ({
          status: response.status,
          weight: response.headers.get('x-load-balancing-endpoint-weight') ?? '',
          type: response.headers.get('content-type') ?? '',
          body: await response.text(),
        }),
        (error): string => error.cause?.code ?? error.name,
      ),
    `http://${hostPort(address, port)}/${path}`,
  );

const statusOf = (said: Said | string): number | string => (typeof said === 'string' ? said : said.status);

/** Waits until the port of n1 says so, and asks it again over the other family. */
async function untilSaid(expected: number | string): Promise<void> {
  for (const family of FAMILIES) {
    const address = nodeAddress('n1', family);
    await until(`${address} says ${expected}`, async () => statusOf(await ask(address)) === expected);
  }
}

/** The only manifest; objects that it lacks are removed. */
const apply = (...objects: readonly unknown[]): void =>
  lab.writeManifest('objects.json', [node('n1'), node('n2'), ...parked([P1, P2, AWAY]), ...objects]);

test('a node says how many ready endpoints it has, over both families [hcnp-ready]', async () => {
  for (const [name, count] of [
    ['n1', 2],
    ['n2', 1],
  ] as const) {
    for (const family of FAMILIES) {
      const said = await ask(nodeAddress(name, family));
      assert.ok(typeof said === 'object', `${name}: ${said}`);
      assert.deepEqual([said.status, said.weight, said.type], [200, String(count), 'application/json']);
      assert.deepEqual(JSON.parse(said.body), {
        service: { namespace: 't', name: 'web' },
        localEndpoints: count,
        serviceProxyHealthy: true,
      });
    }
  }
});

test('a node without a ready endpoint says so, and gets traffic no more when its last one goes [hcnp-ready]', async () => {
  apply(...web({}), ...answered(AWAY));
  await untilSaid(503);
  const said = await ask(nodeAddress('n1'));
  assert.ok(typeof said === 'object');
  assert.equal(said.weight, '0');
  assert.equal(statusOf(await ask(nodeAddress('n2'))), 200);
  await assertPaths(lab, [['outside', tcp(nodeAddress('n1'), nodePort(WEB)), 'dropped']]);
});

test('where endpoints only terminate the port says no while they still answer (TestHealthCheckNodePortWhenTerminating) [hcnp-terminating]', async () => {
  apply(...web({}), ...answered({ ...P1, conditions: { ready: false, serving: true, terminating: true } }, AWAY));
  await until('the pod that terminates answers', async () => {
    const seen = await lab.dial('outside', tcp(nodeAddress('n1'), nodePort(WEB)));
    return seen.outcome === 'answered' && seen.answeredBy === 't/p1';
  });
  await untilSaid(503);
  await assertPaths(lab, [['outside', tcp(nodeAddress('n1'), nodePort(WEB)), answer(OUTSIDE, 'p1')]]);
});

const endings: readonly (readonly [string, () => object[]])[] = [
  ['its policy becomes Cluster', () => web({ spec: { externalTrafficPolicy: 'Cluster' } })],
  ['its type becomes NodePort', () => web({ spec: { type: 'NodePort' } })],
  ['another proxy gets it', () => web({ labels: { 'service.kubernetes.io/service-proxy-name': 'other' } })],
  ['it is deleted', () => []],
];
for (const [what, changed] of endings) {
  test(`the port of a Service closes when ${what}, and opens again with the same number [hcnp-closes] [hcnp-reopens]`, async () => {
    apply(...web({}), ...answered(P1));
    await untilSaid(200);
    apply(...changed(), ...answered(P1));
    await untilSaid('ECONNREFUSED');
    apply(...web({}), ...answered(P1));
    await untilSaid(200);
  });
}

test('an agent that starts again answers as before [hcnp-reopens]', async () => {
  apply(...web({}), ...answered(P1, P2));
  await restartAgent(lab, 'n1');
  await untilSaid(200);
  assert.deepEqual(await lab.exec('n1', ['ss', '-Hltn', `sport = :${PORT}`]).then(({ stdout }) => stdout.trim().split('\n').length), 2);
});

test('a port of another process is one line with Service, field and port, and opens when it is free', async () => {
  const taken = 31_052;
  const squat = `require('node:net').createServer().listen(${taken}, '${nodeAddress('n1')}', () => console.log('listens'))`;
  const squatter = lab.spawn('n1', [process.execPath, '-e', squat], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(squatter.stdout);
  await once(squatter.stdout, 'data');
  apply(...web({ spec: { healthCheckNodePort: taken } }), ...answered(P2));
  const lines = (): string[] =>
    lab
      .agent('n1')
      .log.split('\n')
      .filter((line) => line.includes('healthCheckNodePort'));
  await until('the agent speaks of the port', () => lines().length > 0);
  await until('IPv6 answers', async () => statusOf(await ask(nodeAddress('n1', 6), taken)) === 200);
  await assertPaths(lab, [['outside', tcp(nodeAddress('n1'), nodePort(WEB)), answer(OUTSIDE, 'p2')]]);
  assert.equal(lines().length, 1);
  assert.match(lines()[0] ?? '', /Cannot open spec\.healthCheckNodePort 31052 of Service t\/web at 192\.0\.2\.11: another process listens/);
  squatter.kill();
  await until('IPv4 answers', async () => statusOf(await ask(nodeAddress('n1'), taken)) === 200);
  assert.match(lines()[1] ?? '', /Opened spec\.healthCheckNodePort 31052 of Service t\/web/);
});

test("a port that is another Service's NodePort is answered by that Service, and the log says so until one of both goes [hcnp-captured]", async () => {
  const taken = 31_053;
  const other = (number: number): object[] => [
    numbered('other', OTHER, { spec: { type: 'NodePort', ports: [{ name: 'tcp', port: 80, nodePort: number }] } }),
    ...slices({ of: 'other', pods: [AWAY] }),
  ];
  const lines = (): string[] =>
    lab
      .agent('n1')
      .log.split('\n')
      .filter((line) => line.includes('Cannot answer health checks'));
  const checked = [...web({ spec: { healthCheckNodePort: taken } }), ...answered(P1)];
  apply(...checked, ...other(taken));
  await until('the agent names the port of each family', () => lines().length === 2);
  const said = `Cannot answer health checks of Service "t/web" at spec.healthCheckNodePort ${taken}: Service "t/other:tcp" has NodePort`;
  for (const family of FAMILIES) assert.ok(lines().some((line) => line.includes(`${said}${family}:${taken}/TCP`)));
  for (const family of FAMILIES)
    await assertPaths(lab, [['outside', tcp(nodeAddress('n1', family), taken), answer(nodeAddress('n1', family), 'p3')]]);
  apply(...checked, ...other(taken + 1));
  await until('health checks are answered', async () => statusOf(await ask(nodeAddress('n1'), taken)) === 200);
  assert.equal(lines().length, 2);
});

test('a node that its autoscaler takes away is not healthy, its agent lives on [proxy-healthz] [proxy-livez]', async () => {
  const status = async (path: string): Promise<number | string> => statusOf(await ask(nodeAddress('n1'), 10_256, path));
  const withTaints = (...taints: readonly object[]): void =>
    lab.writeManifest('objects.json', [{ ...node('n1'), spec: { taints } }, node('n2'), ...parked([P1, P2, AWAY])]);
  withTaints();
  await until('the node is eligible', async () => (await status('healthz')) === 200);
  withTaints({ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' });
  await until('the node is not eligible', async () => (await status('healthz')) === 503);
  assert.equal(await status('livez'), 200);
  assert.equal(await status('metrics'), 404);
});

test('the agent serves its metrics and its mode to the node, and not to outsiders', async () => {
  const read = (url: string): Promise<string> => fetch(url).then((response) => response.text());
  const get = (path: string): Promise<string> => inside(lab, 'n1', read, `http://127.0.0.1:10249/${path}`);
  assert.equal(await get('proxyMode'), 'weir');
  const text = await get('metrics');
  for (const line of [
    /^kubeproxy_sync_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} [1-9]/m,
    /^kubeproxy_sync_proxy_rules_endpoint_changes_total [1-9]/m,
    /^kubeproxy_proxy_healthz_total\{code="503"\} [1-9]/m,
    /^weir_outcomes_total\{outcome="packet_translated"\} [1-9]/m,
    /^weir_table_max_entries\{table="frontends"\} [1-9]/m,
    /^process_resident_memory_bytes [1-9]/m,
  ])
    assert.match(text, line);
  assert.equal(await ask(nodeAddress('n1'), 10_249, 'metrics'), 'ECONNREFUSED');
});

/** A number of Service web as n1 tells it. */
async function numberOf(metric: string): Promise<number> {
  const read = (url: string): Promise<string> => fetch(url).then((response) => response.text());
  const text = await inside(lab, 'n1', read, 'http://127.0.0.1:10249/metrics');
  const [, value = 'nothing'] =
    new RegExp(`^${metric}\\{namespace="default",service="web",port="[^"]*",protocol="TCP",ip_family="IPv4"\\} (.*)$`, 'm').exec(text) ??
    [];
  return Number(value);
}

test('a Service counts its connections and who was refused, whether they came by sockets or by packets', async () => {
  apply(...web({}), ...answered(P1));
  await untilSaid(200);
  const dialled = { protocol: 'tcp', address: clusterIP(WEB), port: 80 } as const;
  const [connections, refusals] = ['weir_service_connections_total', 'weir_service_refusals_total'];
  const before = { connections: await numberOf(connections), refusals: await numberOf(refusals) };
  for (let i = 0; i < 3; i++) assert.equal((await lab.dial('n1', dialled)).outcome, 'answered');
  assert.equal((await lab.dial('outside', { ...dialled, address: nodeAddress('n1'), port: nodePort(WEB) })).outcome, 'answered');
  assert.equal(await numberOf(connections), before.connections + 4);
  apply(...web({}));
  await untilSaid(503);
  assert.equal((await lab.dial('n1', dialled)).outcome, 'refused');
  assert.equal((await lab.dial('outside', { ...dialled, address: nodeAddress('n1'), port: nodePort(WEB) })).outcome, 'refused');
  assert.equal(await numberOf(refusals), before.refusals + 2);
  assert.equal(await numberOf(connections), before.connections + 4);
});
