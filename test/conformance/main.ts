/** `main.ts up [--nodes N] [--proxy weir|kube-proxy]`, `main.ts down`: `make cluster` and `make cluster-down`. */
import { parseArgs } from 'node:util';
import { CLUSTER, clusterExists, kubeconfigOf, raiseCluster, removeCluster, removeOnInterruption, type ServiceProxy } from './cluster.ts';

const say = (line: string): void => console.log(`cluster: ${line}`);

async function up(nodes: number, proxy: ServiceProxy): Promise<void> {
  if (clusterExists(CLUSTER)) throw new Error('A cluster is up, or what is left of one: "make cluster-down" removes it');
  removeOnInterruption(CLUSTER, say);
  await raiseCluster({ nodes, proxy, say });
  say(`ready: kubectl --kubeconfig ${kubeconfigOf(CLUSTER)}`);
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { nodes: { type: 'string', default: '3' }, proxy: { type: 'string', default: 'weir' } },
});
try {
  if (positionals[0] === 'down') await removeCluster(CLUSTER);
  else await up(Number(values.nodes), values.proxy as ServiceProxy);
} catch (error) {
  console.error(`cluster: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
