import koffi from 'koffi';
import { checkedErrno, KernelError } from './ffi.ts';
import { libc, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, setIntOption } from './libc.ts';
import {
  dumpRequest,
  type NetlinkMessage,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type RTM_GETADDR,
  type RTM_GETLINK,
  splitMessages,
} from './netlink-messages.ts';

const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;
/** The kernel fills at most 32 KiB into one datagram of a dump. */
const DATAGRAM_BYTES = 64 << 10;
/** A dump that the kernel calls inconsistent is asked for again. */
const DUMP_ATTEMPTS = 10;
const EINTR = 4;
const EAGAIN = 11;

/** A socket to the kernel's routing tables, in the network namespace of the moment, for its life. */
export class RtnetlinkSocket {
  readonly fd: number;
  readonly #datagram = Buffer.alloc(DATAGRAM_BYTES);

  /** `groups`: RTMGRP_* bits whose notifications it gets. */
  constructor(groups = 0) {
    this.fd = checkedErrno(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), 'open an rtnetlink socket');
    try {
      this.#join(groups);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #join(groups: number): void {
    // Lost notifications must be no error: libuv ends a poll at the first one.
    setIntOption(this.fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    checkedErrno(libc.bind(this.fd, address, address.length), 'bind an rtnetlink socket');
  }

  /** Bodies of all messages that answer a dump request. */
  dump(type: typeof RTM_GETLINK | typeof RTM_GETADDR): Buffer[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const bodies = this.#dumpOnce(type);
      if (bodies !== undefined) return bodies;
    }
    throw new Error(`Cannot list the devices: they changed during each of ${DUMP_ATTEMPTS} attempts`);
  }

  #dumpOnce(type: typeof RTM_GETLINK | typeof RTM_GETADDR): Buffer[] | undefined {
    const request = dumpRequest(type);
    checkedErrno(libc.send(this.fd, request, request.length, 0), 'ask for the devices');
    const bodies: Buffer[] = [];
    let isConsistent = true;
    while (true) {
      for (const message of this.#receiveAnswer()) {
        isConsistent &&= (message.flags & NLM_F_DUMP_INTR) === 0;
        if (message.type === NLMSG_DONE) return isConsistent ? bodies : undefined;
        if (message.type === NLMSG_ERROR) throw new KernelError('list the devices', -message.body.readInt32LE(0));
        bodies.push(Buffer.from(message.body));
      }
    }
  }

  /** The kernel answers a dump before send() and each recv() return, so there is nothing to wait for. */
  #receiveAnswer(): NetlinkMessage[] {
    const length = checkedErrno(libc.recv(this.fd, this.#datagram, DATAGRAM_BYTES, 0), 'receive the devices');
    return [...splitMessages(this.#datagram.subarray(0, length))];
  }

  /** Throws away every waiting notification; says whether there was one. */
  drain(): boolean {
    for (let any = false; ; any = true) {
      if (libc.recv(this.fd, this.#datagram, DATAGRAM_BYTES, 0) >= 0) continue;
      const errno = koffi.errno();
      if (errno === EAGAIN) return any;
      if (errno !== EINTR) throw new KernelError('follow the devices', errno);
    }
  }

  close(): void {
    libc.close(this.fd);
  }
}
