import type { UdpFlow } from '#reconcile/flows/flows.ts';
import type { Flows } from '#reconcile/ports/datapath.ts';
import { KernelError } from '../ffi/ffi.ts';
import { AF_INET, AF_INET6 } from '../node/socket-address.ts';
import { decodeFlow, deletionRequest, markedRequest, udpRequests } from './conntrack-messages.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from './netlink-socket.ts';

const SUBJECT = 'conntrack entries';
const ENOENT = 2;

/** The flows of this network namespace in the kernel's connection tracking. `mark`: bit of ct->mark on flows that weir translated. */
export const conntrackFlows = (mark: number): Flows => ({
  endStaleUdp(judge, ended, signal) {
    const look = (flow: UdpFlow, remove: Remove): void => {
      const reason = judge(flow);
      if (reason !== undefined && remove()) ended(flow, reason);
    };
    return walkUdpEntries(mark, look, signal);
  },
  close() {},
});

/** Counts the conntrack entries of this network namespace whose mark has a bit; the kernel filters. */
export function countConntrackEntries(mark: number): number {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, SUBJECT);
  try {
    let count = 0;
    socket.walk(markedRequest(mark), () => count++);
    return count;
  } finally {
    socket.close();
  }
}

/** Deletes the entry of the flow, but not an entry that has taken its place. Returns false if it was gone. */
export type Remove = () => boolean;

/**
 * Calls `look` for each UDP entry of this network namespace that is translated or whose mark has a bit. Yields to the event loop every few ms.
 * Returns their number; throws when `signal` is aborted.
 */
export async function walkUdpEntries(mark: number, look: (flow: UdpFlow, remove: Remove) => void, signal: AbortSignal): Promise<number> {
  const reader = new NetlinkSocket(NETLINK_NETFILTER, SUBJECT);
  const writer = new NetlinkSocket(NETLINK_NETFILTER, SUBJECT);
  let count = 0;
  const each = (body: Buffer): void => {
    count++;
    look(decodeFlow(body), () => removeEntry(writer, deletionRequest(body)));
  };
  try {
    for (const family of [AF_INET, AF_INET6] as const)
      for (const request of udpRequests(family, mark)) await reader.walkInSlices(request, each, signal);
    return count;
  } finally {
    reader.close();
    writer.close();
  }
}

function removeEntry(socket: NetlinkSocket, request: Buffer): boolean {
  const errno = socket.command(request);
  if (errno !== 0 && errno !== ENOENT) throw new KernelError('delete a conntrack entry', errno);
  return errno === 0;
}
