/** `main.ts up [--nodes N] [--proxy weir|kube-proxy]`, `main.ts down [--name LAB]`: `make cluster` and `make cluster-down`. */
import { parseArgs } from 'node:util';
import { CLUSTER, clusterExists, kubeconfigOf, proxyNamed, raiseCluster, removeCluster, removeOnInterruption } from './cluster.ts';

const say = (line: string): void => console.log(`cluster: ${line}`);

/** One digit or two are as many nodes as `layout.ts` has addresses for. */
async function up(nodes: string, named: string): Promise<void> {
  if (!/^[1-9]\d?$/.test(nodes)) throw new Error(`Cannot raise "${nodes}" nodes: their number should be from 1 to 99`);
  const proxy = proxyNamed(named);
  if (clusterExists(CLUSTER)) throw new Error('A cluster is up, or remains of one: "make cluster-down" removes it');
  removeOnInterruption(CLUSTER, say);
  await raiseCluster({ nodes: Number(nodes), proxy, say });
  say(`ready: kubectl --kubeconfig ${kubeconfigOf(CLUSTER)}`);
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: 'string', default: '3' },
    proxy: { type: 'string', default: 'weir' },
    name: { type: 'string', default: CLUSTER },
  },
});
try {
  const [verb] = positionals;
  if (verb === 'up') await up(values.nodes, values.proxy);
  else if (verb === 'down') await removeCluster(values.name);
  else throw new Error(`Cannot do "${verb ?? ''}" with a cluster: it should be "up" or "down"`);
} catch (error) {
  console.error(`cluster: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
