import { readSync } from 'node:fs';
import { presence, socketFlow, socketFlowKey } from '#abi/generated.ts';
import { failure, type Result, success } from '#lib/result.ts';
import type { StaleReason, UdpFlow } from '#reconcile/flows/flows.ts';
import type { Flows } from '#reconcile/ports/datapath.ts';
import { createPace } from '#timing/pace.ts';
import { checked } from '../ffi/ffi.ts';
import { closing, libc } from '../ffi/libc.ts';
import { namespacesBelow, unlessGone } from '../node/namespaces.ts';
import { canEnterNetns, inNetns } from '../node/netns.ts';
import { type LoadedObject, loadObject, type Placement } from './bpf-object.ts';
import { btfNames } from './btf-names.ts';
import { libbpf } from './libbpf.ts';

/** <linux/bpf.h>. */
const BPF_TRACE_ITER = 28;
const BPF_ANY = 0;
/** Entries of map `condemned`. */
const MOST_CONDEMNED = 1024;
const CHUNK_BYTES = 64 << 10;

/** Whether the kernel lets programs destroy sockets (Linux 6.5). */
export const canEndSockets = (): boolean => btfNames('vmlinux').has('bpf_sock_destroy');

/**
 * The connected UDP sockets of processes below a cgroup v2 folder, in every network namespace that this process can see, whose backend has
 * changed since they connected (bpf/stale_sockets.bpf.c). Fails with what the node lacks to end them. Throws the verifier's message if the
 * kernel refuses the program.
 */
export function openSocketFlows(path: string, placement: Placement, cgroupDir: string): Result<Flows> {
  if (!canEndSockets()) return failure('Linux 6.5');
  if (!canEnterNetns()) return failure('CAP_SYS_ADMIN, to enter the network namespaces of pods');
  return success(loadSocketFlows(path, placement, cgroupDir));
}

function loadSocketFlows(path: string, placement: Placement, cgroupDir: string): Flows {
  const object = loadObject(path, placement);
  try {
    const [program] = object.programs;
    const link = checked(libbpf.bpf_link_create(program?.fd ?? -1, 0, BPF_TRACE_ITER, null), 'prepare an iterator over UDP sockets');
    return socketFlows(object, link, cgroupDir);
  } catch (error) {
    object.close();
    throw error;
  }
}

interface Iterator {
  readonly link: number;
  /** Descriptor of the map. */
  readonly condemned: number;
}

function socketFlows(object: LoadedObject, link: number, cgroupDir: string): Flows {
  const iterator = { link, condemned: object.ownMap('condemned') };
  return {
    async endStaleUdp(judge, ended, signal) {
      let seen = 0;
      const judgeSeen: Judge = (flow) => {
        seen++;
        return judge(flow);
      };
      const pace = createPace({ sliceMs: 3, signal });
      for (const netns of (await namespacesBelow(cgroupDir, signal)).files) {
        await pace.step();
        for (const { flow, reason } of endIn(netns, iterator, judgeSeen)) ended(flow, reason);
      }
      return seen;
    },
    close() {
      libc.close(link);
      object.close();
    },
  };
}

/** A socket from one run of the iterator; `key` names it in map `condemned`. */
interface ShownSocket {
  readonly key: Buffer;
  readonly flow: UdpFlow;
}

interface StaleSocket extends ShownSocket {
  readonly reason: StaleReason;
}

type Judge = (flow: UdpFlow) => StaleReason | undefined;

function endIn(netns: string, { link, condemned }: Iterator, judge: Judge): StaleSocket[] {
  const ended: StaleSocket[] = [];
  while (true) {
    const stale = showSockets(netns, link).flatMap((socket): StaleSocket[] => {
      const reason = judge(socket.flow);
      return reason === undefined ? [] : [{ ...socket, reason }];
    });
    const some = endSockets(netns, link, condemned, stale.slice(0, MOST_CONDEMNED));
    ended.push(...some);
    if (stale.length <= MOST_CONDEMNED || some.length === 0) return ended;
  }
}

function endSockets(netns: string, link: number, condemned: number, stale: readonly StaleSocket[]): StaleSocket[] {
  if (stale.length === 0) return [];
  const byKey = new Map(stale.map((socket) => [socket.key.toString('hex'), socket]));
  const value = Buffer.alloc(presence.size);
  presence.encode({ present: 1 }, value, 0);
  try {
    for (const { key } of stale) checked(libbpf.bpf_map_update_elem(condemned, key, value, BPF_ANY), 'condemn a UDP socket');
    return showSockets(netns, link).flatMap(({ key }) => byKey.get(key.toString('hex')) ?? []);
  } finally {
    for (const { key } of stale) libbpf.bpf_map_delete_elem(condemned, key);
  }
}

/** Runs the iterator in a namespace; a namespace that is gone has no sockets. */
function showSockets(netns: string, link: number): ShownSocket[] {
  const look = (): number => checked(libbpf.bpf_iter_create(link), 'iterate over UDP sockets');
  const iterator = unlessGone(() => inNetns(netns, look));
  if (iterator === undefined) return [];
  const bytes = closing(iterator, readAll);
  const step = socketFlowKey.size + socketFlow.size;
  return Array.from({ length: Math.floor(bytes.length / step) }, (_, i) => decodeSocket(bytes.subarray(i * step, (i + 1) * step)));
}

function decodeSocket(bytes: Buffer): ShownSocket {
  const dialled = socketFlowKey.decode(bytes, 0);
  const { backendAddress, backendPort } = socketFlow.decode(bytes, socketFlowKey.size);
  return {
    key: bytes.subarray(0, socketFlowKey.size),
    flow: {
      dialled: { address: dialled.address, port: dialled.port },
      answering: { address: backendAddress, port: backendPort },
      isOurs: true,
    },
  };
}

function readAll(fd: number): Buffer {
  const chunks: Buffer[] = [];
  while (true) {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const length = readSync(fd, chunk);
    if (length === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, length));
  }
}
