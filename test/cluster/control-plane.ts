/** A real Kubernetes control plane inside a lab: etcd, API server, controller manager. `test/cluster/build` makes the programs. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findCgroupRoot } from '#kernel/node/mounts.ts';
import type { Lab } from '#lab/lab.ts';
import { labDir, placeCgroup } from '#lab/paths.ts';
import type { Place } from '#lab/place.ts';
import { type Topology, wireNetns } from '#lab/topology.ts';
import { type Address, familyOf } from '#lib/address.ts';
import { ApiClient, type ApiObject } from './api-client.ts';
import { binary } from './binaries.ts';
import { credentialFiles, makeCredentials } from './credentials.ts';
import { Daemon } from './daemon.ts';

/** Ranges of ClusterIPs that the API server takes, and the first of each, which lead to itself. */
const SERVICE_RANGES = '10.96.0.0/16,fd00:96::/112';
const OWN_SERVICES = ['10.96.0.1', 'fd00:96::1'] as Address[];

/** Of the address that nodes reach it by. */
export const API_SERVER_PORT = 6443;
const ETCD = 'http://127.0.0.1:2379';
const READY_WAIT_MS = 180_000;
const POLL_MS = 50;
/** No node can have this name. */
const CGROUP = '_control-plane';
const GATE = join(import.meta.dirname, 'gate.ts');

export interface ControlPlaneSpec {
  /** The API server listens where the lab's router is, which all nodes reach. */
  readonly lab: Lab;
  /** True: pods make EndpointSlices. False: only applied objects exist. */
  readonly controllerManager?: boolean;
  /** True: for nodes with kubelets, so with service accounts, every controller and a scheduler, and to stay when this process ends. */
  readonly kubelets?: boolean;
}

interface Daemons {
  readonly etcd: Daemon;
  readonly apiServer: Daemon;
  readonly gate: Daemon;
  readonly controllerManager: Daemon;
  readonly scheduler: Daemon;
}

/** A control plane that stands. `lab.down()` and `removeLab` remove it, too. */
export class ControlPlane {
  /** File of a user who may do everything. */
  readonly kubeconfig: string;
  /** File of a user who has the rights of kube-proxy (system:node-proxier) and no others. */
  readonly proxyKubeconfig: string;
  readonly #dir: string;
  readonly #daemons: Daemons;
  readonly #client: ApiClient;
  readonly #remove: () => void;

  constructor(dir: string, daemons: Daemons, client: ApiClient, remove: () => void) {
    const { kubeconfig, proxyKubeconfig } = credentialFiles(dir);
    this.kubeconfig = kubeconfig;
    this.proxyKubeconfig = proxyKubeconfig;
    this.#dir = dir;
    this.#daemons = daemons;
    this.#client = client;
    this.#remove = remove;
  }

  /** Makes or replaces objects, in no particular order, their status too; namespaces that they name are made. */
  async apply(objects: readonly ApiObject[]): Promise<void> {
    await this.#client.apply(objects);
  }

  async remove(objects: readonly ApiObject[]): Promise<void> {
    await this.#client.remove(objects);
  }

  /** What the API server has of an object. */
  async read<T extends ApiObject>(object: T): Promise<T> {
    return this.#client.read(object);
  }

  /** Objects of a collection that fields select. */
  async list<T>(path: string, fields: Readonly<Record<string, string>>): Promise<T[]> {
    return this.#client.list(path, fields);
  }

  /** Ends the API server, without a chance to say goodbye unless another signal is given. */
  async stopApiServer(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#client.disconnect();
    await this.#daemons.apiServer.kill(signal);
  }

  /** Starts the API server and waits until it is ready. */
  async startApiServer(): Promise<void> {
    const { apiServer } = this.#daemons;
    apiServer.start();
    const deadline = Date.now() + READY_WAIT_MS;
    while (!(await this.#client.isReady())) {
      if (!apiServer.isRunning) throw new Error(`${apiServer.name} ended before it was ready:\n${apiServer.lastLines()}`);
      if (Date.now() > deadline)
        throw new Error(`${apiServer.name} is not ready after ${READY_WAIT_MS / 1000} s:\n${apiServer.lastLines()}`);
      await sleep(POLL_MS);
    }
  }

  /** Ends the API server and etcd, lets the caller change etcd's folder, and starts both. */
  async changeStore(change: (dir: string) => void): Promise<void> {
    await this.stopApiServer();
    await this.#daemons.etcd.kill('SIGKILL');
    change(storePath(this.#dir));
    this.#daemons.etcd.start();
    await this.startApiServer();
  }

  /** `list` or `watch`, and the URL, of all requests of agents for what they follow, in order. */
  agentRequests(): string[] {
    const lines = readFileSync(auditPath(this.#dir), 'utf8').trim().split('\n');
    const events = lines.map((line): { userAgent: string; verb: string; requestURI: string } => JSON.parse(line));
    return events.filter(({ userAgent }) => userAgent === 'weir').map(({ verb, requestURI }) => `${verb} ${requestURI}`);
  }

  /** Ends every process and removes the files; the lab stays. */
  async down(): Promise<void> {
    this.#client.disconnect();
    await Promise.all(Object.values<Daemon>({ ...this.#daemons }).map((daemon) => daemon.kill('SIGKILL')));
    this.#remove();
  }
}

/** Raises a control plane and waits until its API server is ready. Whatever fails: nothing is left of it. */
export async function createControlPlane({ lab, controllerManager = false, kubelets = false }: ControlPlaneSpec): Promise<ControlPlane> {
  const { name } = lab.topology;
  const dir = join(labDir(name), 'control-plane');
  const place = placeOf(name);
  mkdirSync(dir);
  mkdirSync(place.cgroup);
  const addresses = addressesOf(lab.topology);
  const client = new ApiClient(gatePath(dir), makeCredentials(dir, [...addresses, ...OWN_SERVICES], API_SERVER_PORT));
  const daemons = daemonsOf(place, dir, addresses[0], kubelets);
  writeFileSync(auditPolicyPath(dir), JSON.stringify(AUDIT_POLICY));
  const controlPlane = new ControlPlane(dir, daemons, client, () => {
    rmdirSync(place.cgroup);
    rmSync(dir, { recursive: true });
  });
  try {
    daemons.etcd.start();
    daemons.gate.start();
    await controlPlane.startApiServer();
    if (controllerManager || kubelets) daemons.controllerManager.start();
    if (kubelets) daemons.scheduler.start();
    return controlPlane;
  } catch (error) {
    await controlPlane.down();
    throw error;
  }
}

function placeOf(lab: string): Place {
  const root = findCgroupRoot();
  if (root === undefined) throw new Error('Cannot raise a control plane: cgroup v2 is not mounted, it should be in /proc/mounts');
  return { name: 'the control plane', netns: wireNetns(lab), cgroup: placeCgroup(root, lab, CGROUP) };
}

/** Where nodes reach the API server, an IPv4 address first: the primary Service range is of this family. */
function addressesOf({ name, networks }: Topology): [Address, ...Address[]] {
  const [first, ...others] = networks.map(({ router }) => router).sort((a, b) => familyOf(a) - familyOf(b));
  if (first === undefined || familyOf(first) !== 4)
    throw new Error(`Cannot raise a control plane: no node of lab "${name}" has an IPv4 address`);
  return [first, ...others];
}

/** Who asks for what, as it comes in. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['ResponseStarted', 'ResponseComplete', 'Panic'],
  rules: [
    { level: 'Metadata', verbs: ['list', 'watch'], resources: ['', 'discovery.k8s.io', 'networking.k8s.io'].map((group) => ({ group })) },
  ],
};

const auditPolicyPath = (dir: string): string => join(dir, 'audit-policy.json');

const auditPath = (dir: string): string => join(dir, 'audit.log');

const storePath = (dir: string): string => join(dir, 'etcd');

const gatePath = (dir: string): string => join(dir, 'api.sock');

function daemonsOf(place: Place, dir: string, address: Address, kubelets: boolean): Daemons {
  const daemon = (name: string, argv: readonly string[]): Daemon => new Daemon(place, dir, name, argv, { stays: kubelets });
  return {
    etcd: daemon('etcd', [binary('etcd'), ...etcdFlags(dir)]),
    apiServer: daemon('kube-apiserver', [binary('kube-apiserver'), ...apiServerFlags(dir, address, kubelets)]),
    gate: daemon('gate', [process.execPath, GATE, gatePath(dir), `${API_SERVER_PORT}`]),
    controllerManager: daemon('kube-controller-manager', [binary('kube-controller-manager'), ...controllerManagerFlags(dir, kubelets)]),
    scheduler: daemon('kube-scheduler', [
      binary('kube-scheduler'),
      '--kubeconfig',
      credentialFiles(dir).kubeconfig,
      '--leader-elect=false',
    ]),
  };
}

const etcdFlags = (dir: string): string[] => [
  ...['--data-dir', storePath(dir), '--unsafe-no-fsync', '--log-level', 'warn'],
  ...['--listen-client-urls', ETCD, '--advertise-client-urls', ETCD],
];

function apiServerFlags(dir: string, address: Address, kubelets: boolean): string[] {
  const files = credentialFiles(dir);
  return [
    ...['--etcd-servers', ETCD, '--bind-address', '::', '--secure-port', `${API_SERVER_PORT}`, '--advertise-address', address],
    ...['--tls-cert-file', files.certificate, '--tls-private-key-file', files.key],
    ...['--token-auth-file', files.tokens, '--authorization-mode', 'RBAC', '--service-cluster-ip-range', SERVICE_RANGES],
    ...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-account-key-file', files.accountPublicKey],
    ...['--service-account-signing-key-file', files.accountKey],
    ...['--audit-policy-file', auditPolicyPath(dir), '--audit-log-path', auditPath(dir)],
    ...(kubelets
      ? ['--allow-privileged', '--kubelet-preferred-address-types', 'InternalIP']
      : // No controller makes the service accounts that pods would need.
        ['--disable-admission-plugins', 'ServiceAccount']),
  ];
}

function controllerManagerFlags(dir: string, kubelets: boolean): string[] {
  const { kubeconfig, accountKey, certificate } = credentialFiles(dir);
  return [
    ...['--kubeconfig', kubeconfig, '--leader-elect=false'],
    ...(kubelets
      ? ['--service-account-private-key-file', accountKey, '--root-ca-file', certificate]
      : ['--controllers', 'endpointslice-controller,namespace-controller,service-cidr-controller']),
  ];
}
