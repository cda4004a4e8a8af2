/**
 * `run.ts [--only REGEX] [--proxies weir,kube-proxy] [--page FILE]`: upstream's end-to-end tests for what a Service proxy does, against each proxy in a
 * cluster of its own; `make conformance`. Prints each test with its verdicts; `--page` writes them as well.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Lab } from '#lab/lab.ts';
import { CHECKOUT, labDir } from '#lab/paths.ts';
import { outcomeOf } from '#lab/place.ts';
import { OUTSIDE } from '#lab/topology.ts';
import { machine, updatePage } from '../../bench/page.ts';
import {
  CLUSTER,
  clusterExists,
  kubeconfigOf,
  kubectl,
  PROXIES,
  proxyNamed,
  raiseCluster,
  removeCluster,
  removeOnInterruption,
  type ServiceProxy,
} from './cluster.ts';
import { pageOf } from './page.ts';
import { type Report, type Verdict, type Verdicts, verdictsOf } from './report.ts';

/** Which of upstream's tests, by nodes: `Feature:IPv6DualStack` has tests of Services with secondary addresses, Traffic Distribution wants six nodes. */
const SUBJECTS = {
  3: /^\[sig-network\] (\[Feature:IPv6DualStack\]|Services|Conntrack|EndpointSlice|EndpointSliceMirroring|Networking Granular Checks: Services|LocalhostNodePorts|Proxy|HostPort) /,
  6: /^\[sig-network\] Traffic Distribution /,
} as const;
/** They stop parts of a cluster by ssh, on machines of a cloud. */
const SKIPPED = /\[Disruptive\]/;

const PARALLEL = 8;
const BIN = join(CHECKOUT, '.cache/cluster/bin');
/** An expression that every name matches. */
const EVERYTHING = '.';
/** What ginkgo wrote, a report and a log for each prune. */
const RESULTS = join(CHECKOUT, '.cache/conformance');

const say = (line: string): void => console.log(`conformance: ${line}`);

/** Names of all of upstream's tests. */
function allTests(): string[] {
  const { stdout } = spawnSync(join(BIN, 'e2e.test'), ['--list-tests'], { encoding: 'utf8', maxBuffer: Number.MAX_SAFE_INTEGER });
  return [...stdout.matchAll(/^ +\S+:\d+: (.*)$/gm)].map(([, name = '']) => name);
}

const escapeRegExp = (text: string): string => text.replaceAll(/[[\](){}.*+?^$|\\]/g, '\\$&');

/** One prune: a fresh cluster, these tests. */
async function prune(proxy: ServiceProxy, nodes: number, tests: readonly string[]): Promise<Verdicts> {
  const [report, log] = ['json', 'log'].map((ending) => join(RESULTS, `${proxy}-${nodes}.${ending}`)) as [string, string];
  rmSync(report, { force: true });
  say(`${proxy}: raising a cluster of ${nodes} nodes`);
  const lab = await raiseCluster({ nodes, proxy });
  try {
    if (proxy === 'weir') say(`its pods were ready ${await readySeconds(lab)} s after kubelet began with them`);
    say(`${proxy}: running, "tail -f ${log}" shows how far it is`);
    const argv = [
      join(BIN, 'ginkgo'),
      ...['--no-color', `--procs=${PARALLEL}`, `--focus=${tests.map(escapeRegExp).join('|')}`, '--json-report', report],
      ...[join(BIN, 'e2e.test'), '--', '--kubeconfig', kubeconfigOf(CLUSTER), '--provider', 'skeleton', '--num-nodes', `${nodes}`],
    ];
    const output = openSync(log, 'w');
    const child = lab.spawn(OUTSIDE, argv, {
      stdio: ['ignore', output, output],
      cwd: RESULTS,
      env: { ...process.env, TMPDIR: labDir(CLUSTER) },
    });
    await outcomeOf(child);
    closeSync(output);
    if (!existsSync(report)) throw new Error(`ginkgo ended without a report, ${log} says why`);
    return verdictsOf(JSON.parse(readFileSync(report, 'utf8')) as Report);
  } finally {
    await removeCluster(CLUSTER);
  }
}

interface Pods {
  readonly items: readonly {
    readonly status: {
      readonly startTime: string;
      readonly conditions: readonly { readonly type: string; readonly lastTransitionTime: string }[];
    };
  }[];
}

/** Of the slowest pod, in whole seconds, as kubelet writes them. */
async function readySeconds(lab: Lab): Promise<number> {
  const pods = JSON.parse(
    await kubectl(lab, ['--namespace=kube-system', 'get', 'pods', '--selector=app.kubernetes.io/name=weir', '--output=json']),
  ) as Pods;
  const seconds = pods.items.map(({ status: { startTime, conditions } }) => {
    const ready = conditions.find(({ type }) => type === 'Ready');
    return (Date.parse(ready?.lastTransitionTime ?? '') - Date.parse(startTime)) / 1000;
  });
  return Math.max(...seconds);
}

/** Verdicts of a proxy so far on this kernel with this Kubernetes: a slice replaces the verdicts of its own tests. */
const storeOf = (proxy: ServiceProxy, version: string): string => join(RESULTS, `${proxy}-${version}-${release()}.json`);

const readStore = (store: string): Verdicts =>
  new Map(existsSync(store) ? (JSON.parse(readFileSync(store, 'utf8')) as [string, Verdict][]) : []);

async function run(only: RegExp, proxies: readonly ServiceProxy[], page: string | undefined): Promise<void> {
  if (clusterExists(CLUSTER)) throw new Error('A cluster is up, or remains of one: "make cluster-down" removes it');
  const tests = allTests().filter((name) => only.test(name) && !SKIPPED.test(name));
  const prunes = ([3, 6] as const)
    .map((nodes) => ({ nodes, chosen: tests.filter((name) => SUBJECTS[nodes].test(name)) }))
    .filter(({ chosen }) => chosen.length > 0);
  if (prunes.length === 0) throw new Error(`None of the tests matches ${only}`);
  mkdirSync(RESULTS, { recursive: true });
  const version = kubernetesVersion();
  const found = new Map<ServiceProxy, Verdicts>();
  for (const proxy of proxies) {
    const verdicts = new Map<string, Verdict>();
    for (const { nodes, chosen } of prunes) {
      for (const [name, verdict] of await prune(proxy, nodes, chosen)) verdicts.set(name, verdict);
      const store = storeOf(proxy, version);
      const others = only.source === EVERYTHING ? [] : readStore(store);
      writeFileSync(store, JSON.stringify([...others, ...verdicts], null, 1));
    }
    found.set(proxy, verdicts);
  }
  console.log(pageOf(found));
  if (page)
    updatePage(
      page,
      'conformance',
      `${machine()}, Kubernetes ${version}.\n\n${pageOf(new Map(PROXIES.map((proxy) => [proxy, readStore(storeOf(proxy, version))])))}`,
    );
}

const kubernetesVersion = (): string =>
  spawnSync(join(BIN, 'kube-proxy'), ['--version'], { encoding: 'utf8' }).stdout.trim().split(' ').at(-1) ?? '';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: EVERYTHING },
    proxies: { type: 'string', default: PROXIES.join() },
    page: { type: 'string' },
  },
});
removeOnInterruption(CLUSTER, say);
try {
  await run(new RegExp(values.only), values.proxies.split(',').map(proxyNamed), values.page);
} catch (error) {
  console.error(`conformance: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
