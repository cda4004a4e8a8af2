import { spawnSync } from 'node:child_process';
import { namesIn } from '../bpf/state-folder.ts';
import { listLinks } from '../netlink/links.ts';
import { runNft } from '../nftables/libnftables.ts';
import { readText } from '../node/read-text.ts';
import { degraded, type Finding, fine, probed } from './finding.ts';

/** One object of nft's JSON output that can be another proxy's. */
interface NftObject {
  readonly table?: { readonly family: string; readonly name: string };
  readonly chain?: { readonly family: string; readonly table: string; readonly name: string };
}

/** What other Service proxies have left on this node: they would translate before weir does, or after. */
export const probeLeftovers = (): Finding[] => [probeKubeProxy(), probeLegacyIptables(), probeIpvs(), probeCilium()];

function probeKubeProxy(): Finding {
  const name = 'leftovers of kube-proxy in nftables';
  const trouble = { consequence: 'unknown', remedy: 'install libnftables1' };
  return probed(name, trouble, () => {
    const { nftables } = JSON.parse(runNft('list chains', 'json') || '{"nftables":[]}') as { nftables: NftObject[] };
    return leftovers(name, kubeProxyRules(nftables), 'kube-proxy --cleanup');
  });
}

/** Tables of kube-proxy's nftables mode, and the chains of its iptables mode over nft. */
export function kubeProxyRules(objects: readonly NftObject[]): string[] {
  const found = objects.flatMap(({ chain }) => {
    if (chain === undefined) return [];
    if (chain.table === 'kube-proxy') return [`table ${chain.family} kube-proxy`];
    return chain.name === 'KUBE-SERVICES' ? [`chain KUBE-SERVICES in table ${chain.family} ${chain.table}`] : [];
  });
  return [...new Set(found)];
}

const LEGACY = 'leftovers of kube-proxy in iptables-legacy';

/** Asked only where the old tables are in use: asking would load them. */
function probeLegacyIptables(): Finding {
  const found: string[] = [];
  for (const ip of ['ip', 'ip6'] as const) {
    const tables = readText(`/proc/net/${ip}_tables_names`).split('\n');
    if (!tables.includes('nat')) continue;
    const { error, stdout } = spawnSync(`${ip}tables-legacy-save`, ['-t', 'nat'], { encoding: 'utf8', timeout: 10_000 });
    if (error !== undefined) return unseenLegacy(ip, error);
    if (stdout.includes(':KUBE-SERVICES ')) found.push(`chain KUBE-SERVICES in ${ip}tables-legacy, table nat`);
  }
  return leftovers(LEGACY, found, 'kube-proxy --cleanup');
}

/** weir's image, for one, does not have the command. */
const unseenLegacy = (ip: 'ip' | 'ip6', { message }: Error): Finding =>
  degraded(LEGACY, `${ip}tables-legacy has a table nat that cannot be looked into: ${message}`, {
    consequence: 'unknown',
    remedy: `${ip}tables-legacy-save -t nat on the node: KUBE-SERVICES is kube-proxy's, which kube-proxy --cleanup removes`,
  });

function probeIpvs(): Finding {
  const found = listLinks().filter((link) => link.name === 'kube-ipvs0');
  return leftovers(
    'leftovers of kube-proxy in IPVS',
    found.map((link) => `device ${link.name}`),
    'kube-proxy --cleanup',
  );
}

function probeCilium(): Finding {
  const devices = listLinks()
    .filter((link) => link.name.startsWith('cilium_'))
    .map((link) => `device ${link.name}`);
  const pins = ['/sys/fs/bpf/tc/globals', '/sys/fs/bpf'].flatMap((dir) =>
    namesIn(dir)
      .filter((name) => name.startsWith('cilium'))
      .map((name) => `${dir}/${name}`),
  );
  const found = [...devices, ...(pins.length > 0 ? [`${pins.length} pins such as ${pins[0]}`] : [])];
  return leftovers('Cilium', found, "leave it to one of the two: Cilium's kubeProxyReplacement=false, or cilium uninstall");
}

function leftovers(name: string, found: readonly string[], remedy: string): Finding {
  if (found.length === 0) return fine(name, 'none');
  return degraded(name, found.join(', '), {
    consequence: 'two proxies translate the same Services; which one wins depends on the path',
    remedy,
  });
}
