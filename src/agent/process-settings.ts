import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Config, ConntrackSettings } from '#config/config.ts';
import { readSetting, setSysctl, sysctl } from '#kernel/node/sysctl.ts';
import type { Log } from '#observe/log.ts';

/** Upper bound of entries, however many cores there are, to limit their memory (kube-proxy: getConntrackMax). */
const MOST_ENTRIES = 1_048_576;
const ON_NODE = 'set it on the node';
const BUCKETS = 'net.netfilter.nf_conntrack_buckets';

/**
 * Sets what kube-proxy sets at its start: connection tracking (pkg/proxy/conntrack/sysctls.go) and oom_score_adj. Logs a warning for each
 * setting that cannot be set and goes on: the node works without it.
 */
export function applyProcessSettings({ conntrack, oomScoreAdj }: Pick<Config, 'conntrack' | 'oomScoreAdj'>, log: Log): void {
  const attempt = (what: string, is: string | undefined, value: string, remedy: string, set: () => void): void => {
    if (is === value) return;
    try {
      set();
      log.info(`Set ${what}`, { from: is, to: value });
    } catch (error) {
      log.warn(`Cannot set ${what} to ${value}, it stays as it is: ${remedy}`, { is: is ?? 'missing', reason: (error as Error).message });
    }
  };
  const max = conntrackMax(conntrack, coresOfNode());
  for (const [name, value] of wantedSysctls(conntrack, max)) {
    const is = sysctl(name);
    if (name.endsWith('_max') && Number(is) >= value) continue;
    attempt(`sysctl ${name}`, is, String(value), ON_NODE, () => setSysctl(name, String(value)));
  }
  const [buckets, wanted] = [sysctl(BUCKETS), Math.floor(max / 4)];
  if (buckets !== undefined && Number(buckets) < wanted)
    attempt(`sysctl ${BUCKETS}`, buckets, String(wanted), ON_NODE, () => setSysctl(BUCKETS, String(wanted)));
  if (oomScoreAdj === undefined) return;
  const file = '/proc/self/oom_score_adj';
  attempt(file, readSetting(file), String(oomScoreAdj), 'start weir with CAP_SYS_RESOURCE', () => writeFileSync(file, String(oomScoreAdj)));
}

/** Minimum size of the conntrack table in entries; 0 = leave it. */
export function conntrackMax({ maxPerCore, min }: Pick<ConntrackSettings, 'maxPerCore' | 'min'>, cores: number): number {
  if (maxPerCore === 0) return 0;
  const scaled = maxPerCore * cores;
  return scaled > MOST_ENTRIES ? MOST_ENTRIES : Math.max(min, scaled);
}

/** Number of online cores of the node, also if this process may use fewer (kube-proxy: DetectNumCPU); the file holds `0-3,8-11`. */
function coresOfNode(): number {
  const ranges = readSetting('/sys/devices/system/cpu/online')?.split(',') ?? [];
  const counts = ranges.map((range) => range.split('-').map(Number)).map(([first = 0, last = first]) => last - first + 1);
  const cores = counts.reduce((sum, count) => sum + count, 0);
  return cores > 0 ? cores : availableParallelism();
}

function wantedSysctls(conntrack: ConntrackSettings, max: number): readonly (readonly [name: string, value: number])[] {
  const wanted = {
    max,
    tcp_timeout_established: conntrack.tcpEstablishedTimeout,
    tcp_timeout_close_wait: conntrack.tcpCloseWaitTimeout,
    tcp_be_liberal: Number(conntrack.tcpBeLiberal),
    udp_timeout: conntrack.udpTimeout,
    udp_timeout_stream: conntrack.udpStreamTimeout,
  };
  return Object.entries(wanted)
    .filter(([, value]) => value > 0)
    .map(([name, value]) => [`net.netfilter.nf_conntrack_${name}`, value]);
}
