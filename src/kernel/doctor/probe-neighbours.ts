import { hasProgram } from '../bpf/device-links.ts';
import { exclusivePrograms, exclusiveText } from '../bpf/exclusive-programs.ts';
import { aheadText, programsAhead } from '../bpf/programs-ahead.ts';
import { type Link, listLinks } from '../netlink/links.ts';
import { countTransportStates } from '../netlink/xfrm-states.ts';
import { findCgroupRoot, isCgroup2 } from '../node/mounts.ts';
import { degraded, type Finding, fine, missing, probed, type Trouble } from './finding.ts';

interface Place {
  readonly cgroupRoot: string | undefined;
  readonly stateDir: string;
}

const UNKNOWN: Trouble = { consequence: 'unknown', remedy: 'run it as root in the network namespace of the node' };

/** Programs of other software at the hooks of weir's, and devices without weir's. */
export const probeNeighbours = ({ cgroupRoot, stateDir }: Place): Finding[] => [
  probeAhead(stateDir),
  probeExclusive(cgroupRoot ?? findCgroupRoot()),
  ...probeDevices(stateDir),
  probeTransportMode(),
];

function probeAhead(stateDir: string): Finding {
  const name = 'programs ahead at tc ingress';
  return probed(name, UNKNOWN, () => {
    const found = listLinks().flatMap((link) => {
      const ahead = programsAhead(stateDir, link.ifindex);
      return ahead.length === 0 ? [] : [`${link.name}: ${ahead.map(aheadText).join(', ')}`];
    });
    if (found.length === 0) return fine(name, 'none');
    return degraded(name, found.join('; '), {
      consequence: "packets for which such a program ends the chain do not reach weir's: their Services do not answer",
      remedy: "let it return TCX_NEXT or TC_ACT_UNSPEC, or attach it after weir's",
    });
  });
}

function probeExclusive(cgroup: string | undefined): Finding {
  const name = 'exclusive programs at cgroup hooks';
  return probed(name, UNKNOWN, () => {
    const found = cgroup === undefined || !isCgroup2(cgroup) ? [] : exclusivePrograms(cgroup);
    if (found.length === 0) return fine(name, 'none');
    return missing(name, found.map(exclusiveText).join(', '), {
      consequence: "the kernel refuses weir's programs there: the socket path does not work",
      remedy: 'attach that program with BPF_F_ALLOW_MULTI, or detach it',
    });
  });
}

/** tc ingress shows the packets of these states encrypted: the kernel decrypts them later (net/ipv4/xfrm4_input.c, xfrm4_transport_finish). */
function probeTransportMode(): Finding {
  const name = 'IPsec in transport mode';
  return probed(name, UNKNOWN, () => {
    const count = countTransportStates();
    if (count === 0) return fine(name, 'no states');
    return degraded(name, `${count} states`, {
      consequence: "their packets are never TCP or UDP at tc ingress: clients whose packets come by them do not reach this node's Services",
      remedy: 'use tunnel mode or an xfrm device for clients of Services; nothing to do for other traffic',
    });
  });
}

/** Where an agent has attached programs; one that is away attaches none to devices that come meanwhile. */
function probeDevices(stateDir: string): Finding[] {
  const links = listLinks();
  const vrfs = new Set(links.filter(({ kind }) => kind === 'vrf').map(({ ifindex }) => ifindex));
  const entersHere = ({ isLoopback, kind, master }: Link): boolean =>
    !isLoopback && kind !== 'vrf' && (master === undefined || vrfs.has(master));
  const bare = links.filter((link) => entersHere(link) && !hasProgram(stateDir, link.ifindex));
  const name = 'devices without the packet program';
  if (!links.some((link) => hasProgram(stateDir, link.ifindex))) return [];
  if (bare.length === 0) return [fine(name, 'none')];
  return [
    degraded(name, bare.map((link) => link.name).join(', '), {
      consequence: 'Service packets that enter there are not served; with --socket-scope host the pods behind them have no Services',
      remedy: 'start the agent, which attaches the programs; nothing to do for devices that --exclude-devices names',
    }),
  ];
}
