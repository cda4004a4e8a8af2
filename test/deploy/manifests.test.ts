import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CHECKOUT } from '#lab/paths.ts';
import { parseYaml } from '#lib/yaml.ts';
import { run, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import type { ApiObject } from '../cluster/api-client.ts';
import { binary, whyNoControlPlane } from '../cluster/binaries.ts';
import { type Cluster, raiseCluster } from '../cluster/ground.ts';
import { clusterIP, node, nodeAddress, numbered, podAddress, slices } from '../datapath/objects.ts';
import { answer, assertPaths, tcp, until } from '../datapath/paths.ts';
import { Container, podTemplate, templateIn, whyNoContainer } from './container.ts';
import { makeRoot, whyNoImage } from './image.ts';
import type { PodTemplate } from './pod-spec.ts';

const BASE = join(CHECKOUT, 'deploy/kustomize/base');
const CLEANUP = join(CHECKOUT, 'deploy/kustomize/cleanup');
const CHART = join(CHECKOUT, 'deploy/helm/weir');
const HELM = join(CHECKOUT, '.cache/cluster/bin/helm');
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

const whyNoHelm = (): string | undefined => (existsSync(HELM) ? undefined : 'no helm: run test/deploy/build, it takes two minutes');

const needsHelm = skipIf(whyNoHelm() ?? whyNoControlPlane('kubectl'));
const needsCluster = skipIf(whyNoControlPlane('kubectl') ?? whyNoImage() ?? whyNoContainer() ?? whyNoDatapath());

const P1 = { name: 'p1', node: 'n1' } as const;
const N1 = { ...node('n1'), spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', 'fd00:244:0:1::/64'] } } as ApiObject;
const WEB = [numbered('web', 10, { spec: { ipFamilyPolicy: 'RequireDualStack' } }), ...slices({ of: 'web', pods: [P1] })] as ApiObject[];

let cluster: Cluster;
let work: string;

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'weir-manifests-'));
  if (needsCluster.skip) return;
  cluster = await raiseCluster('d', [N1, ...WEB]);
});

after(async () => {
  await cluster?.lab.down();
  rmSync(work, { recursive: true });
});

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template: { readonly metadata: { annotations?: object } } };
}

const kustomized = (folder: string): string => run(binary('kubectl'), 'kustomize', folder);
const base = (): string => kustomized(BASE);

const chart = (...flags: string[]): string =>
  run(HELM, 'template', 'weir', CHART, '--namespace', 'kube-system', '--set', 'apiServer.host=192.0.2.1', ...flags);

/** Objects of a stream by kind and name; texts that are YAML are compared as what they say. */
function objectsOf(text: string): Map<string, object> {
  const parsed = parseYaml(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return new Map(
    (parsed.values as Rendered[]).map((object) => {
      const data = Object.entries(object.data ?? {}).map(([key, value]) => [key, parseYaml(value)]);
      return [`${object.kind} ${object.metadata.name}`, { ...object, data: Object.fromEntries(data) }];
    }),
  );
}

test('the chart says what the kustomize base says', needsHelm, () => {
  const [expected, found] = [objectsOf(base()), objectsOf(chart())];
  // Users of the base make it themselves
  assert.ok(found.delete('ConfigMap weir-api-server'));
  delete (found.get('DaemonSet weir') as Rendered).spec?.template.metadata.annotations;
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
  assert.equal(expected.size, 5);
});

test('the chart passes on its values', needsHelm, () => {
  const values = join(work, 'values.yaml');
  const given = {
    image: { repository: 'registry.example/weir', tag: 'v9', pullPolicy: 'Always' },
    imagePullSecrets: [{ name: 'secret' }],
    config: { mode: 'nftables', detectLocalMode: 'ClusterCIDR', clusterCIDR: '10.0.0.0/8', nodePortAddresses: ['primary'] },
    extraArgs: ['-v=2', '--socket-scope=host'],
    ...{ resources: { limits: { memory: '300Mi' } }, nodeSelector: { pool: 'edge' }, tolerations: [{ key: 'a', operator: 'Exists' }] },
    ...{ priorityClassName: 'high', updateStrategy: { type: 'OnDelete' } },
  };
  writeFileSync(values, JSON.stringify(given));
  const objects = objectsOf(chart('--values', values));
  // biome-ignore lint/suspicious/noExplicitAny: what Helm has made
  const { spec } = objects.get('DaemonSet weir') as any;
  const pod = spec.template.spec;
  const [container] = pod.containers;
  assert.deepEqual([container.image, container.imagePullPolicy], ['registry.example/weir:v9', 'Always']);
  assert.deepEqual(container.args.slice(-2), given.extraArgs);
  for (const field of ['imagePullSecrets', 'tolerations', 'priorityClassName'] as const) assert.deepEqual(pod[field], given[field]);
  const [{ pool }, { limits }, { type }] = [pod.nodeSelector, container.resources, spec.updateStrategy];
  assert.deepEqual([pool, limits, type], ['edge', given.resources.limits, 'OnDelete']);
  // biome-ignore lint/suspicious/noExplicitAny: what Helm has made
  const config = (objects.get('ConfigMap weir') as any).data['config.conf'].values[0];
  assert.deepEqual(config, { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration', ...given.config });
});

test('without the address of the API server the chart names the missing value', needsHelm, () => {
  const { status, stderr } = spawnSync(HELM, ['template', 'weir', CHART], { encoding: 'utf8' });
  assert.notEqual(status, 0);
  assert.match(stderr, /apiServer\.host must be set: .* docs\/install\.md/);
});

/** kubectl where it reaches the API server. */
async function kubectl(argv: readonly string[], input = ''): Promise<string> {
  const { lab, controlPlane } = cluster;
  const { code, stdout, stderr } = await lab.exec('n1', [binary('kubectl'), '--kubeconfig', controlPlane.kubeconfig, ...argv], input);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  return stdout;
}

test('an API server takes the base, and what cleans up, without a warning', needsCluster, async () => {
  for (const folder of [BASE, CLEANUP]) {
    const said = await kubectl(['apply', '--dry-run=server', '-f', '-'], kustomized(folder));
    assert.equal(said.match(/ created \(server dry run\)$/gm)?.length, 5);
  }
});

test('an API server takes the chart without a warning', skipIf(needsHelm.skip || needsCluster.skip || undefined), async () => {
  const said = await kubectl(['apply', '--dry-run=server', '-f', '-'], chart());
  assert.equal(said.match(/ created \(server dry run\)$/gm)?.length, 6);
});

/** Files and variables as a kubelet gives them to a pod of the service account. */
async function accountOf(): Promise<{ env: Record<string, string>; folder: string }> {
  const view = JSON.parse(await kubectl(['config', 'view', '--raw', '--minify', '-o', 'json'])).clusters[0].cluster;
  const server = new URL(view.server);
  const folder = join(work, 'account');
  mkdirSync(folder);
  writeFileSync(join(folder, 'ca.crt'), Buffer.from(view['certificate-authority-data'], 'base64'));
  writeFileSync(join(folder, 'token'), await kubectl(['--namespace', 'kube-system', 'create', 'token', 'weir']));
  return { env: { NODE_NAME: 'n1', KUBERNETES_SERVICE_HOST: server.hostname, KUBERNETES_SERVICE_PORT: server.port }, folder };
}

test(
  'a pod with the rights of the base follows the API server and says what happens; another cleans up after it',
  needsCluster,
  async (t) => {
    const { lab, controlPlane } = cluster;
    await kubectl(['apply', '-k', BASE]);
    await controlPlane.apply([N1, ...WEB]);
    const { env, folder } = await accountOf();
    const template = podTemplate();
    const [container] = template.containers;
    const volumeMounts = [...container.volumeMounts, { name: 'account', mountPath: ACCOUNT, readOnly: true }];
    const withAccount: PodTemplate = { ...template, containers: [{ ...container, volumeMounts }] };
    const image = makeRoot(join(work, 'root'));
    const pod = new Container({ lab, node: 'n1', image, template: withAccount, env, volumes: { account: folder } });
    t.after(() => pod.remove());
    // A node has processes besides the agent
    const other = lab.spawn('n1', ['sleep', 'infinity']);
    t.after(() => other.kill());
    await pod.start();
    await assertPaths(lab, [
      ['n1', tcp(clusterIP(10), 80), answer(nodeAddress('n1'), 'p1')],
      ['p1', tcp(clusterIP(10, 6), 80), answer(podAddress(P1, 6), 'p1')],
      ['outside', tcp(nodeAddress('n1'), 30_010), answer(nodeAddress('n1'), 'p1')],
    ]);
    assert.doesNotMatch(pod.log, / (?:WARN|ERROR) /);
    await until('an Event', async () => (await kubectl(['get', 'events', '-A', '-o', 'jsonpath={.items[*].reason}'])).includes('Starting'));
    await pod.stop();
    pod.remove();
    const { initContainers, ...rest } = templateIn(kustomized(CLEANUP));
    assert.ok(initContainers !== undefined);
    const cleanup = new Container({ lab, node: 'n1', image, template: { ...rest, containers: initContainers } });
    t.after(() => cleanup.remove());
    assert.match(cleanup.finish(), /^Detached socket program weir_connect4$[\s\S]*^(?:Removed|Kept the NAT chains of) table inet weir/m);
  },
);
