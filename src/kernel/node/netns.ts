import { openSync, stat } from 'node:fs';
import type { Address, Family } from '#lib/address.ts';
import { checkedErrno } from '../ffi/ffi.ts';
import { closing, libc, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, setIntOption } from '../ffi/libc.ts';
import { AF_INET, AF_INET6, socketAddress } from './socket-address.ts';

const CLONE_NEWNET = 0x40000000;
/** <asm-generic/socket.h>, since Linux 5.14. */
const SO_NETNS_COOKIE = 71;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** Descriptor of a network namespace: of the calling thread, or of a file such as `/run/netns/NAME` or `/proc/PID/ns/net`. */
export const openNetns = (path = '/proc/thread-self/ns/net'): number => openSync(path, 'r');

/** Runs synchronous code inside a network namespace. Sockets opened there stay there. */
export function inNetns<T>(path: string, run: () => T): T {
  return visiting(run, () =>
    closing(openNetns(path), (fd) => checkedErrno(libc.setns(fd, CLONE_NEWNET), `enter network namespace ${path}`)),
  );
}

/** Runs synchronous code inside a network namespace that is new, has nothing but `lo` and is gone afterwards. */
export function inScratchNetns<T>(run: () => T): T {
  return visiting(run, () => checkedErrno(libc.unshare(CLONE_NEWNET), 'make a network namespace'));
}

function visiting<T>(run: () => T, enter: () => void): T {
  startThreadPool();
  return closing(openNetns(), (home) => {
    enter();
    try {
      const result = run();
      if (result instanceof Promise) throw new Error('Cannot await inside a network namespace: the code must be synchronous');
      return result;
    } finally {
      // Going on in a foreign namespace would program the wrong node.
      if (libc.setns(home, CLONE_NEWNET) < 0) process.abort();
    }
  });
}

/** Whether this process may enter network namespaces: CAP_SYS_ADMIN, also for the one that it is in (setns(2)). */
export const canEnterNetns = (): boolean => closing(openNetns(), (fd) => libc.setns(fd, CLONE_NEWNET) === 0);

let threadPoolStarted = false;

/** libuv makes its threads at the first asynchronous call, in the namespace of that moment, and they keep it. */
function startThreadPool(): void {
  if (threadPoolStarted) return;
  stat('/', () => {});
  threadPoolStarted = true;
}

/** SO_NETNS_COOKIE of the thread's namespace: what `bpf_get_netns_cookie` returns in a program. */
export function netnsCookie(): bigint {
  return closing(openSocket(AF_INET, SOCK_DGRAM), (fd) => {
    const cookie = Buffer.alloc(8);
    const length = Buffer.from([8, 0, 0, 0]);
    checkedErrno(libc.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, length), 'read the cookie of the network namespace');
    return cookie.readBigUInt64LE();
  });
}

/** Where a socket listens. `family` 'dual' is an IPv6 socket that takes IPv4 too. No address: every address. */
export interface Binding {
  readonly protocol: 'tcp' | 'udp';
  readonly family: Family | 'dual';
  readonly address?: Address;
  readonly port: number;
}

/** Bound socket of a namespace, for `net.Server.listen({ fd })` or `dgram.Socket.bind({ fd })`; who takes it closes it. */
export function bindSocketIn(netnsPath: string, binding: Binding): number {
  return inNetns(netnsPath, () => {
    const fd = openSocket(binding.family === 4 ? AF_INET : AF_INET6, binding.protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM);
    try {
      return bindSocket(fd, binding);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  });
}

function bindSocket(fd: number, { protocol, family, address, port }: Binding): number {
  if (protocol === 'tcp') setIntOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family !== 4) setIntOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, family === 6 ? 1 : 0);
  const bytes = socketAddress(family === 4 ? 4 : 6, address, port);
  checkedErrno(libc.bind(fd, bytes, bytes.length), `bind ${protocol} port ${port} of ${address ?? 'every address'}`);
  return fd;
}

const openSocket = (family: number, type: number): number =>
  checkedErrno(libc.socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), 'open a socket');
