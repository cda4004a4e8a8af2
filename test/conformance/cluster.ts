/** A real cluster on one machine: a control plane, and nodes with kubelet and containerd, in the namespaces of a lab. */
import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findCgroupRoot } from '#kernel/node/mounts.ts';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { CHECKOUT, labDir, nodeDir } from '#lab/paths.ts';
import { spawnAt } from '#lab/place.ts';
import { labExists, removeLab } from '#lab/removal.ts';
import { OUTSIDE, wireNetns } from '#lab/topology.ts';
import { netnsPath } from '#lab/wiring.ts';
import { familyOf } from '#lib/address.ts';
import { whyNoDatapath } from '#support/kernel-ground.ts';
import type { ApiObject } from '../cluster/api-client.ts';
import { whyNoControlPlane } from '../cluster/binaries.ts';
import { API_SERVER_PORT, createControlPlane } from '../cluster/control-plane.ts';
import { COREDNS } from './addons.ts';
import { type KubeletNode, nodeObject, planNodes, podRoutes } from './layout.ts';
import { type NodePaths, nodeFiles } from './node-files.ts';

const CACHE = join(CHECKOUT, '.cache/cluster');
const WEIR_IMAGE = join(CHECKOUT, 'dist/weir-image.tar');
/** Name of the lab that a cluster is, unless it is given another. */
export const CLUSTER = 'cluster';
/** What nodes keep on a disk, which /run need not be. */
const disks = (name: string): string => `/var/tmp/weir-${name}`;
const READY_WAIT_S = 180;

/** What balances Services in the cluster. */
export const PROXIES = ['weir', 'kube-proxy'] as const;
export type ServiceProxy = (typeof PROXIES)[number];

/** Throws where none is called so. */
export function proxyNamed(name: string): ServiceProxy {
  const proxy = PROXIES.find((each) => each === name);
  if (proxy === undefined) throw new Error(`Cannot use "${name}" as Service proxy: it should be one of ${PROXIES.join(', ')}`);
  return proxy;
}

export interface ClusterSpec {
  readonly name?: string;
  readonly nodes: number;
  readonly proxy: ServiceProxy;
  /** Services and EndpointSlices whose endpoints are servers of the lab, see `createLab`. They are in the API, too. */
  readonly objects?: readonly ApiObject[];
  readonly say?: (line: string) => void;
}

/** File of a user who may do everything, while the cluster stands. */
export const kubeconfigOf = (name: string): string => join(labDir(name), 'control-plane/kubeconfig');

/** Whether there is a cluster of this name, or something left of one. */
export const clusterExists = (name: string): boolean => labExists(name) || existsSync(disks(name));

/** Why no cluster can be raised here, and what changes that; undefined where one can. */
export function whyNoCluster(): string | undefined {
  const parts = ['bin/e2e.test', 'bin/kubelet', 'bin/cni/portmap', 'runtime/usr/bin/containerd', 'images.tar'];
  const missing = parts.filter((part) => !existsSync(join(CACHE, part)));
  if (missing.length > 0) return `no ${missing.join(', ')} in .cache/cluster: run test/conformance/prepare, the first time takes minutes`;
  if (!existsSync(WEIR_IMAGE)) return `no ${relative(CHECKOUT, WEIR_IMAGE)}: run make image`;
  return whyNoControlPlane() ?? whyNoDatapath();
}

/** Raises a cluster and waits until all its nodes and its proxy are ready. Whatever fails: nothing is left of it. */
export async function raiseCluster(spec: ClusterSpec): Promise<Lab> {
  const { name = CLUSTER } = spec;
  try {
    return await build({ ...spec, name });
  } catch (error) {
    await removeCluster(name);
    throw error;
  }
}

async function build({ name, nodes: count, proxy, objects = [], say = () => {} }: ClusterSpec & { readonly name: string }): Promise<Lab> {
  const nodes = planNodes(count);
  say('namespaces and control plane');
  const all = [...nodes.map(nodeObject), ...objects];
  const lab = await createLab({ name, objects: all, agents: false, serviceCidr: '' });
  await routePods(lab, nodes);
  const controlPlane = await createControlPlane({ lab, kubelets: true });
  await controlPlane.apply(all);
  say(`${count} nodes: containerd and kubelet`);
  for (const node of nodes) startNode(lab, node, proxy);
  await kubectl(lab, ['apply', '-f', '-'], JSON.stringify(COREDNS));
  await waitFor(lab, nodes, ['node', '--for=condition=Ready', ...nodes.map((node) => node.name)]);
  say(`${proxy}, CoreDNS`);
  if (proxy === 'weir') await installWeir(lab);
  await waitFor(lab, nodes, ['--namespace=kube-system', '--for=condition=Available', 'deployment/coredns']);
  return lab;
}

async function routePods(lab: Lab, nodes: readonly KubeletNode[]): Promise<void> {
  const ip = (netns: string, lines: string) =>
    spawnSync('nsenter', [`--net=${netnsPath(netns)}`, 'ip', '-batch', '-'], { input: lines, encoding: 'utf8' });
  const netnses = [wireNetns(lab.topology.name), ...nodes.map(({ name }) => lab.place(name).netns)];
  for (const [i, netns] of netnses.entries()) {
    const { status, stderr } = ip(netns, podRoutes(nodes.filter((_, j) => j + 1 !== i)));
    if (status !== 0) throw new Error(`Cannot route pods in ${netns}: ${stderr}`);
  }
}

function startNode(lab: Lab, node: KubeletNode, proxy: ServiceProxy): void {
  const cluster = lab.topology.name;
  const paths: NodePaths = {
    dir: nodeDir(cluster, node.name),
    plugins: join(CACHE, 'bin/cni'),
    kubeconfig: kubeconfigOf(cluster),
    pauseImage: readFileSync(join(CACHE, 'images.txt'), 'utf8').match(/\S*\/pause:\S+/)?.[0] ?? '',
  };
  const disk = join(disks(cluster), node.name);
  for (const [name, text] of Object.entries(nodeFiles(node, paths))) {
    mkdirSync(dirname(join(paths.dir, name)), { recursive: true });
    writeFileSync(join(paths.dir, name), text);
  }
  mkdirSync(disk, { recursive: true });
  if (proxy === 'weir') {
    mkdirSync(join(paths.dir, 'images'));
    copyFileSync(WEIR_IMAGE, join(paths.dir, 'images/weir.tar'));
  }
  const place = lab.place(node.name);
  const cgroup = place.cgroup.slice(findCgroupRoot()?.length);
  const script = (name: string) => join(import.meta.dirname, name);
  const log = openSync(join(paths.dir, 'node.log'), 'a');
  const argv = [
    script('node'),
    node.name,
    disk,
    cgroup,
    script('daemons'),
    paths.dir,
    CACHE,
    paths.kubeconfig,
    node.addresses.join(),
    proxy,
  ];
  spawnAt(place, argv, { detached: true, stdio: ['ignore', log, log] }).unref();
  closeSync(log);
}

/** Runs kubectl outside the nodes; fails with what it said. */
export async function kubectl(lab: Lab, argv: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(
    OUTSIDE,
    [join(CACHE, 'bin/kubectl'), '--kubeconfig', kubeconfigOf(lab.topology.name), ...argv],
    input,
  );
  if (code !== 0) throw new Error(`kubectl ${argv.join(' ')}: ${stderr.trim() || stdout}`);
  return stdout;
}

async function waitFor(lab: Lab, nodes: readonly KubeletNode[], what: readonly string[]): Promise<void> {
  const deadline = Date.now() + READY_WAIT_S * 1000;
  for (;;) {
    try {
      await kubectl(lab, ['wait', '--timeout=5s', ...what]);
      return;
    } catch (error) {
      const ended = nodes.find(({ name }) => readFileSync(join(lab.place(name).cgroup, 'cgroup.procs'), 'utf8') === '');
      if (ended) throw new Error(`Node ${ended.name} ended: ${lastLines(join(nodeDir(lab.topology.name, ended.name), 'node.log'))}`);
      if (Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

const lastLines = (file: string): string => readFileSync(file, 'utf8').trimEnd().split('\n').slice(-10).join('\n');

/** As docs/install.md says, with the API server's own address. */
async function installWeir(lab: Lab): Promise<void> {
  const folder = join(labDir(lab.topology.name), 'weir');
  mkdirSync(folder);
  const [host = ''] = lab.topology.networks.map(({ router }) => router).filter((router) => familyOf(router) === 4);
  const overlay = {
    resources: [relative(folder, join(CHECKOUT, 'deploy/kustomize/base'))],
    namespace: 'kube-system',
    configMapGenerator: [{ name: 'weir-api-server', literals: [`host=${host}`, `port=${API_SERVER_PORT}`] }],
  };
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(overlay));
  await kubectl(lab, ['apply', '-k', folder]);
  await kubectl(lab, ['--namespace=kube-system', 'rollout', 'status', '--timeout=120s', 'daemonset/weir']);
}

/** Removes whatever exists of the cluster. */
export async function removeCluster(name: string): Promise<void> {
  await removeLab(name);
  rmSync(disks(name), { recursive: true, force: true });
}

/** From now on Ctrl-C and the like end this process, and the cluster with it. */
export function removeOnInterruption(name: string, say: (line: string) => void = () => {}): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, async () => {
      say('interrupted, removing the cluster');
      try {
        await removeCluster(name);
      } catch (error) {
        say((error as Error).message);
      }
      process.exit(130);
    });
}
