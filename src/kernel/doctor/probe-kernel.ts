import { TABLES } from '#abi/generated.ts';
import { btfNames } from '../bpf/btf-names.ts';
import { BPF_TCX_INGRESS } from '../bpf/device-links.ts';
import { SOCKET_HOOKS } from '../bpf/exclusive-programs.ts';
import { libbpf } from '../bpf/libbpf.ts';
import { canEndSockets } from '../bpf/stale-sockets.ts';
import { attachFilter } from '../bpf/tc-filter.ts';
import { CStruct, checked, errnoText } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { absentModules } from '../node/modules.ts';
import { inScratchNetns } from '../node/netns.ts';
import { degraded, type Finding, fine, missing, probed, type Trouble } from './finding.ts';

/** <linux/bpf.h>. */
const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18;
const BPF_MAP_TYPE_SK_STORAGE = 24;
const BPF_FUNC_SET_RETVAL = 187;
const MAP_TYPES: Readonly<Record<number, string>> = { 1: 'hash', 2: 'array', 6: 'per-CPU array', 9: 'LRU hash', 11: 'longest prefix' };

const KFUNCS = [
  'bpf_skb_ct_lookup',
  'bpf_skb_ct_alloc',
  'bpf_ct_insert_entry',
  'bpf_ct_set_nat_info',
  'bpf_ct_set_timeout',
  'bpf_ct_change_timeout',
  'bpf_ct_release',
];
/** Whose BTF names them: the modules are built in on some kernels. */
const KFUNC_BTF = ['vmlinux', 'nf_conntrack', 'nf_nat'];
const KFUNC_MODULES = ['nf_conntrack', 'nf_nat'] as const;

const NO_PACKETS = 'the packet path does not work: NodePorts, LoadBalancers and all clients from outside';
const NO_SOCKETS = "the socket path does not work: the node's own processes reach no Service";

/** What the programs need of the kernel. Needs root; works on programs and namespaces of its own that are gone afterwards. */
export const probeKernel = (): Finding[] => [
  ...probeKfuncs(),
  ...probeSocketHooks(),
  probeDeviceHook(),
  probeRefusal(),
  ...probeMapTypes(),
  probeSocketEnding(),
];

function probeKfuncs(): Finding[] {
  const btf = KFUNC_BTF.map(btfNames);
  const unloaded = absentModules(KFUNC_MODULES);
  return KFUNCS.map((kfunc) => {
    const name = `kernel function ${kfunc}`;
    const where = KFUNC_BTF.filter((_, i) => btf[i]?.has(kfunc));
    if (where.length > 0) return fine(name, `in BTF of ${where.join(', ')}`);
    if (unloaded.length > 0)
      return degraded(name, `not seen; ${unloaded.join(' and ')} not loaded, so it may be in a module`, {
        consequence: 'unknown until the agent has loaded the modules',
        remedy: `modprobe -a ${unloaded.join(' ')}`,
      });
    return missing(name, 'in no BTF', {
      consequence: NO_PACKETS,
      remedy: 'use Linux 6.1 or later with CONFIG_NF_CONNTRACK, CONFIG_NF_NAT and BTF',
    });
  });
}

/** `return 1` as a program of the hook's kind; returns its descriptor. */
function loadTrivial(type: number, attachType: number): number {
  const instructions = Buffer.from('b700000001000000' + '9500000000000000', 'hex');
  // struct bpf_prog_load_opts: expected_attach_type at 12.
  const options = CStruct.sized(16).u32(12, attachType).bytes;
  return checked(libbpf.bpf_prog_load(type, 'weir_probe', 'GPL', instructions, 2, options), 'load a program that does nothing');
}

function probeSocketHooks(): Finding[] {
  const trouble = { consequence: NO_SOCKETS, remedy: 'use Linux 6.1 or later with CONFIG_CGROUP_BPF' };
  return Object.entries(SOCKET_HOOKS).map(([hook, attachType]) => {
    const name = `hook cgroup/${hook}`;
    return probed(name, trouble, () => closing(loadTrivial(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attachType), () => fine(name, 'loads')));
  });
}

const NO_DEVICE_HOOK: Trouble = {
  consequence: NO_PACKETS,
  remedy: 'use Linux 6.6 or later, or one with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF',
};

function probeDeviceHook(): Finding {
  const name = 'hook tc ingress';
  return probed(name, NO_DEVICE_HOOK, () =>
    closing(loadTrivial(BPF_PROG_TYPE_SCHED_CLS, 0), (program) =>
      inScratchNetns(() => {
        const link = libbpf.bpf_link_create(program, 1, BPF_TCX_INGRESS, null);
        if (link >= 0) return closing(link, () => fine(name, 'tcx'));
        attachFilter(1, program);
        return fine(name, 'clsact (the kernel has no tcx, which came with Linux 6.6)');
      }),
    ),
  );
}

function probeRefusal(): Finding {
  const name = 'helper bpf_set_retval';
  const result = libbpf.libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_SET_RETVAL, null);
  if (result === 1) return fine(name, 'usable in socket programs');
  return degraded(name, result < 0 ? errnoText(-result) : 'not usable in socket programs', {
    consequence: 'a connect to a Service without endpoints fails with EPERM instead of ECONNREFUSED',
    remedy: 'use Linux 6.1 or later',
  });
}

function probeMapTypes(): Finding[] {
  const types = new Set([...Object.values(TABLES).map((table) => table.type), BPF_MAP_TYPE_SK_STORAGE]);
  return [...types].map((type) => {
    const name = `map type ${MAP_TYPES[type] ?? 'socket storage'}`;
    const result = libbpf.libbpf_probe_bpf_map_type(type, null);
    if (result === 1) return fine(name, 'can be made');
    return missing(name, result < 0 ? errnoText(-result) : 'cannot be made', {
      consequence: 'the agent cannot start',
      remedy: 'use Linux 6.1 or later',
    });
  });
}

function probeSocketEnding(): Finding {
  const name = 'ending of UDP sockets';
  if (canEndSockets()) return fine(name, 'bpf_sock_destroy is in BTF of vmlinux');
  return degraded(name, 'no bpf_sock_destroy in BTF of vmlinux', {
    consequence: 'connected UDP sockets keep an endpoint that is gone until their owner dials again',
    remedy: 'use Linux 6.5 or later',
  });
}
