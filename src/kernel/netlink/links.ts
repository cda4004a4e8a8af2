import { FdWatcher } from '../ffi/fd-watcher.ts';
import { decodeLink, decodeLinkAddress, dumpRequest, type Link, type LinkAddress, RTM_GETADDR, RTM_GETLINK } from './netlink-messages.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './netlink-socket.ts';

export type { Link, LinkAddress } from './netlink-messages.ts';

/** RTMGRP_* of <linux/rtnetlink.h>: links, IPv4 addresses, IPv6 addresses. */
const GROUPS = 0x1 | 0x10 | 0x100;

/** Devices of this network namespace. */
export const listLinks = (): Link[] => dumped(RTM_GETLINK).map(decodeLink);

/** Addresses of this network namespace's devices, tentative and deprecated ones included. */
export const listAddresses = (): LinkAddress[] => dumped(RTM_GETADDR).flatMap((body) => decodeLinkAddress(body) ?? []);

function dumped(type: typeof RTM_GETLINK | typeof RTM_GETADDR): Buffer[] {
  const socket = new NetlinkSocket(NETLINK_ROUTE, 'devices');
  try {
    return socket.dump(dumpRequest(type));
  } finally {
    socket.close();
  }
}

/**
 * Follows devices and addresses of this network namespace. Calls `onChange` once for all changes since the last call; the caller lists
 * again, so lost notifications of a burst do not matter. `onError` receives the exceptions of `onChange`.
 */
export function watchLinks({ onChange, onError }: { onChange: () => void; onError: (error: unknown) => void }): { close(): void } {
  const socket = new NetlinkSocket(NETLINK_ROUTE, 'devices', GROUPS);
  const watcher = new FdWatcher(
    socket.fd,
    () => {
      if (socket.drain()) onChange();
    },
    onError,
  );
  let isOpen = true;
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    watcher.close();
    socket.close();
  };
  return { close };
}
