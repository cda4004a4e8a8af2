import koffi from 'koffi';
import { createPace } from '#timing/pace.ts';
import { checkedErrno, KernelError } from '../ffi/ffi.ts';
import { libc, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET, setIntOption } from '../ffi/libc.ts';
import { type NetlinkMessage, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, splitMessages } from './netlink-messages.ts';

const AF_NETLINK = 16;
/** Protocols of <linux/netlink.h>. */
export const NETLINK_ROUTE = 0;
export const NETLINK_XFRM = 6;
export const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;
/** Answers leave out the message that they answer. */
const NETLINK_CAP_ACK = 10;
const SO_SNDBUFFORCE = 32;
/** Bytes of a send buffer that hold no message (netlink_sendmsg in net/netlink/af_netlink.c). */
const SEND_OVERHEAD = 4096;
/** The kernel fills at most 32 KiB into one datagram of a dump. */
const DATAGRAM_BYTES = 64 << 10;
/** A dump that the kernel calls inconsistent is asked for again. */
const DUMP_ATTEMPTS = 10;
const EINTR = 4;
const EAGAIN = 11;

/** A netlink socket, in the network namespace of the moment, for its life. */
export class NetlinkSocket {
  readonly fd: number;
  readonly #subject: string;
  readonly #datagram = Buffer.alloc(DATAGRAM_BYTES);

  /** `subject`: the listed objects, for messages. `groups`: RTMGRP_* bits of the notifications that it receives. */
  constructor(protocol: number, subject: string, groups = 0) {
    this.#subject = subject;
    this.fd = checkedErrno(
      libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol),
      `open a netlink socket for ${subject}`,
    );
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
    setIntOption(this.fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    checkedErrno(libc.bind(this.fd, address, address.length), `bind a netlink socket for ${this.#subject}`);
  }

  /** Bodies of all messages that answer a dump request. */
  dump(request: Buffer): Buffer[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const bodies: Buffer[] = [];
      if (this.walk(request, (body) => bodies.push(Buffer.from(body)))) return bodies;
    }
    throw new Error(`Cannot list ${this.#subject}: they changed during each of ${DUMP_ATTEMPTS} attempts`);
  }

  /** Hands over each body, valid only for the call. False: there were changes meanwhile, some may be missing or twice. */
  walk(request: Buffer, each: (body: Buffer) => void): boolean {
    for (const steps = this.#steps(request, each); ; ) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  /** The same in slices; yields to the event loop between them. Throws when `signal` is aborted. */
  async walkInSlices(request: Buffer, each: (body: Buffer) => void, signal: AbortSignal): Promise<boolean> {
    const pace = createPace({ sliceMs: 3, signal });
    for (const steps = this.#steps(request, each); ; ) {
      await pace.step();
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  /** Yields after each datagram. */
  *#steps(request: Buffer, each: (body: Buffer) => void): Generator<void, boolean> {
    checkedErrno(libc.send(this.fd, request, request.length, 0), `ask for ${this.#subject}`);
    let isConsistent = true;
    while (true) {
      for (const message of this.#receiveAnswer()) {
        isConsistent &&= (message.flags & NLM_F_DUMP_INTR) === 0;
        if (message.type === NLMSG_DONE) return isConsistent;
        if (message.type === NLMSG_ERROR) throw new KernelError(`list ${this.#subject}`, -message.body.readInt32LE(0));
        each(message.body);
      }
      yield;
    }
  }

  /** Has something done that the kernel answers with an errno, 0 for done. `request` asks for that answer (NLM_F_ACK). */
  command(request: Buffer): number {
    checkedErrno(libc.send(this.fd, request, request.length, 0), `change ${this.#subject}`);
    const [answer] = this.#receiveAnswer();
    if (answer?.type !== NLMSG_ERROR) throw new Error(`Cannot change ${this.#subject}: the kernel did not say what became of it`);
    return -answer.body.readInt32LE(0);
  }

  /**
   * Has a batch of messages done as one transaction. The last message inside the batch asks for an answer (NLM_F_ACK). Returns the first errno,
   * 0 for done: then everything is done, else nothing.
   */
  transaction(batch: Buffer): number {
    setIntOption(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, batch.length + SEND_OVERHEAD);
    checkedErrno(libc.send(this.fd, batch, batch.length, 0), `change ${this.#subject}`);
    const errnos = this.#receiveAnswer().map((answer) => -answer.body.readInt32LE(0));
    for (let length = 0; length >= 0; ) {
      length = libc.recv(this.fd, this.#datagram, DATAGRAM_BYTES, 0);
      if (length >= 0) for (const { body } of splitMessages(this.#datagram.subarray(0, length))) errnos.push(-body.readInt32LE(0));
    }
    return errnos.find((errno) => errno !== 0) ?? 0;
  }

  /** The kernel answers a dump before send() and each recv() return, so there is nothing to wait for. */
  #receiveAnswer(): NetlinkMessage[] {
    const length = checkedErrno(libc.recv(this.fd, this.#datagram, DATAGRAM_BYTES, 0), `receive ${this.#subject}`);
    return [...splitMessages(this.#datagram.subarray(0, length))];
  }

  /** Discards every waiting notification; returns whether there was one. */
  drain(): boolean {
    for (let any = false; ; any = true) {
      if (libc.recv(this.fd, this.#datagram, DATAGRAM_BYTES, 0) >= 0) continue;
      const errno = koffi.errno();
      if (errno === EAGAIN) return any;
      if (errno !== EINTR) throw new KernelError(`follow ${this.#subject}`, errno);
    }
  }

  close(): void {
    libc.close(this.fd);
  }
}
