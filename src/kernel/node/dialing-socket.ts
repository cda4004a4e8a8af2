import koffi from 'koffi';
import { type Address, addressFromBytes, type Family } from '#lib/address.ts';
import { checkedErrno, errnoName } from '../ffi/ffi.ts';
import { libc, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, setIntOption } from '../ffi/libc.ts';
import { AF_INET, AF_INET6, socketAddress } from './socket-address.ts';

const IPPROTO_TCP = 6;
/** <linux/tcp.h>: a socket under repair is connected without a word to anybody. */
const TCP_REPAIR = 19;

/** Where a socket ended up, or the errno's name that connect() failed with. */
export type DialResult = { readonly address: Address; readonly port: number } | { readonly code: string };

/**
 * A socket that dials one address after the other and returns its actual peer; it never sends anything. It belongs to the
 * network namespace and the cgroup of its creation.
 */
export class DialingSocket {
  readonly #fd: number;
  readonly #family: Family;
  readonly #peer = Buffer.alloc(28);

  constructor(protocol: 'tcp' | 'udp', family: Family) {
    const type = (protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    this.#family = family;
    this.#fd = checkedErrno(libc.socket(family === 4 ? AF_INET : AF_INET6, type, 0), `open a ${protocol} socket`);
    if (protocol === 'tcp') setIntOption(this.#fd, IPPROTO_TCP, TCP_REPAIR, 1);
  }

  dial(address: Address, port: number): DialResult {
    const to = socketAddress(this.#family, address, port);
    if (libc.connect(this.#fd, to, to.length) < 0) return { code: errnoName(koffi.errno()) };
    const peer = this.#readPeer();
    this.#disconnect();
    return peer;
  }

  #readPeer(): DialResult {
    const length = Buffer.from([this.#peer.length, 0, 0, 0]);
    checkedErrno(libc.getpeername(this.#fd, this.#peer, length), 'read where a socket is connected to');
    const at = this.#family === 4 ? 4 : 8;
    const bytes = this.#peer.subarray(at, at + (this.#family === 4 ? 4 : 16));
    const address = bytes.length === 4 ? (bytes.join('.') as Address) : addressFromBytes(bytes);
    return { address, port: this.#peer.readUInt16BE(2) };
  }

  /** AF_UNSPEC: the source address and port that connect() chose are given back too. */
  #disconnect(): void {
    const unspecified = Buffer.alloc(16);
    checkedErrno(libc.connect(this.#fd, unspecified, unspecified.length), 'disconnect a socket');
  }

  close(): void {
    libc.close(this.#fd);
  }
}
