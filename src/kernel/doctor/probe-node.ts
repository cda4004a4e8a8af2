import { listLinks } from '../netlink/links.ts';
import { installRuleset } from '../nftables/ruleset.ts';
import { whyUncovered } from '../node/coverage.ts';
import { absentModules, isModuleLoaded } from '../node/modules.ts';
import { bpffsRemedy, findCgroupRoot, isBpffs, isCgroup2, nearestFolder } from '../node/mounts.ts';
import { inScratchNetns } from '../node/netns.ts';
import { sysctl } from '../node/sysctl.ts';
import { degraded, type Finding, fine, missing, probed } from './finding.ts';

/** From this share of its size on, the conntrack table is too full. */
const CONNTRACK_FULL = 0.9;

/** Where the node differs from what weir needs. Reads; tries the ruleset in a network namespace that is gone afterwards. */
export function probeNode({ cgroupRoot, stateDir }: { cgroupRoot: string | undefined; stateDir: string }): Finding[] {
  return [
    probeCgroup(cgroupRoot),
    probeBpffs(stateDir),
    probeNft(),
    probeConntrack(),
    ...probeForwarding(),
    probeLiberal(),
    probeReversePath(),
    ...probeBridges(),
  ];
}

function probeCgroup(wanted: string | undefined): Finding {
  const name = 'cgroup v2 root';
  const dir = wanted ?? findCgroupRoot();
  const trouble = {
    consequence: 'the socket path has no place to attach to',
    remedy: 'mount cgroup2, for instance at /sys/fs/cgroup, or name it with --cgroup-root',
  };
  if (dir === undefined) return missing(name, 'cgroup2 is not mounted', trouble);
  if (!isCgroup2(dir)) return missing(name, `${dir} is not a cgroup v2 folder`, trouble);
  const why = whyUncovered(dir);
  if (why === undefined) return fine(name, dir);
  return degraded(name, `${dir}: ${why}`, {
    consequence: "the socket path serves no process: the node's own processes reach no Service",
    remedy: "name the cgroup v2 folder that holds the node's processes with --cgroup-root; give a container that of its node",
  });
}

function probeBpffs(stateDir: string): Finding {
  const name = 'bpffs for pins';
  if (isBpffs(stateDir)) return fine(name, stateDir);
  const parent = nearestFolder(stateDir);
  if (isBpffs(parent)) return fine(name, `${parent}; the agent makes ${stateDir}`);
  const remedy = bpffsRemedy(stateDir);
  if (remedy !== undefined)
    return missing(name, 'the mounts of this process, a container perhaps, have none', {
      consequence: 'the agent ends: what serves would be gone with the container',
      remedy,
    });
  return fine(name, `not there yet; the agent mounts one for ${stateDir}`);
}

function probeNft(): Finding {
  const name = 'nftables';
  const trouble = {
    consequence: 'packets to Services are neither translated nor refused',
    remedy: 'install libnftables1; modprobe -a nf_tables nft_chain_nat nft_ct nft_reject_inet',
  };
  const absent = absentModules();
  // Trying would load them.
  if (absent.length > 0)
    return degraded(name, `not tried: ${absent.join(', ')} not loaded`, {
      consequence: 'unknown until the agent has loaded them',
      remedy: `modprobe -a ${absent.join(' ')}`,
    });
  return probed(name, trouble, () => {
    inScratchNetns(() => installRuleset({ conntrackMark: 1, masqueradeMark: 2 }));
    return fine(name, 'takes table inet weir with its nat chains (tried in a scratch network namespace)');
  });
}

function probeConntrack(): Finding {
  const name = 'connection tracking';
  const max = Number(sysctl('net.netfilter.nf_conntrack_max'));
  const count = Number(sysctl('net.netfilter.nf_conntrack_count'));
  if (Number.isNaN(max) || Number.isNaN(count))
    return degraded(name, 'nf_conntrack is not loaded', {
      consequence: 'unknown until the agent has loaded it',
      remedy: 'modprobe nf_conntrack',
    });
  const detail = `${count} of ${max} entries`;
  if (count < CONNTRACK_FULL * max) return fine(name, detail);
  return degraded(name, detail, {
    consequence: 'new flows are dropped once it is full (packet_drop_conntrack)',
    remedy: `sysctl -w net.netfilter.nf_conntrack_max=${2 * max}`,
  });
}

function probeForwarding(): Finding[] {
  return (
    [
      ['net.ipv4.ip_forward', 'IPv4'],
      ['net.ipv6.conf.all.forwarding', 'IPv6'],
    ] as const
  ).map(([name, family]) => {
    const value = sysctl(name);
    if (value === undefined) return fine(name, `the kernel has no ${family}`);
    if (value !== '0') return fine(name, value);
    return degraded(name, value, {
      consequence: `${family} packets to endpoints in pods and on other nodes go nowhere`,
      remedy: `sysctl -w ${name}=1`,
    });
  });
}

function probeLiberal(): Finding {
  const name = 'net.netfilter.nf_conntrack_tcp_be_liberal';
  const value = sysctl(name);
  if (value !== '0') return fine(name, value ?? 'not there: nf_conntrack is not loaded');
  return degraded(name, value, {
    consequence: 'this node drops forwarded packets outside the window, and packets of a flow whose replies take another route',
    remedy: `sysctl -w ${name}=1`,
  });
}

function probeReversePath(): Finding {
  const name = 'net.ipv4.conf.*.rp_filter';
  const strict = ['all', ...listLinks().map((link) => link.name)].filter((device) => sysctl(`net.ipv4.conf.${device}.rp_filter`) === '1');
  if (strict.length === 0) return fine(name, 'nowhere strict');
  return degraded(name, `strict on ${strict.join(', ')}`, {
    consequence: 'packets are dropped that enter by another device than the one their answer leaves by',
    remedy: 'set it to 2 (loose) on a node with several uplinks; nothing to do on others',
  });
}

/** Pods on one bridge answer each other past the IP stack, so that replies of the packet path are not translated back. */
function probeBridges(): Finding[] {
  const links = listLinks();
  const shared = links.filter((bridge) => bridge.kind === 'bridge' && links.filter((port) => port.master === bridge.ifindex).length > 1);
  if (shared.length === 0) return [];
  const name = 'net.bridge.bridge-nf-call-iptables';
  const value = isModuleLoaded('br_netfilter') ? sysctl(name) : undefined;
  const detail = `${value ?? 'br_netfilter is not loaded'}; bridges with several ports: ${shared.map((bridge) => bridge.name).join(', ')}`;
  if (value === '1') return [fine(name, detail)];
  const consequence =
    'flows between two pods of one bridge stall if they take the packet path (--socket-scope host); the socket path is not affected';
  return [degraded(name, detail, { consequence, remedy: `modprobe br_netfilter && sysctl -w ${name}=1` })];
}
