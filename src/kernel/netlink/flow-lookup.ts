import type { Address } from '#lib/address.ts';
import { addressBytes, addressFromBytes, familyOf } from '#lib/address.ts';
import { checkedErrno, KernelError } from '../ffi/ffi.ts';
import { libc } from '../ffi/libc.ts';
import { AF_INET, AF_INET6 } from '../node/socket-address.ts';
import {
  CT_DELETE,
  CT_GET,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
} from './conntrack-messages.ts';
import { attribute, NLM_F_REQUEST, nested, netfilterMessage } from './netlink-encoding.ts';
import { decodeAttributes, NLMSG_ERROR, splitMessages } from './netlink-messages.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from './netlink-socket.ts';

/** CTA_IP_V4_SRC and _DST, CTA_IP_V6_SRC and _DST. */
const IP_ATTRIBUTES = { 4: [1, 2], 6: [3, 4] } as const;
const ENOENT = 2;

/** One direction of a flow. `protocol`: IPPROTO_*. */
export interface FlowTuple {
  readonly protocol: number;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
}

/** Conntrack entries of the network namespace in which it was opened, one at a time. */
export class FlowLookup {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER, 'conntrack entries');
  readonly #datagram = Buffer.alloc(8192);

  /** Deletes the entry with exactly this original direction and returns its reply direction; undefined if there is none. */
  take(tuple: FlowTuple): FlowTuple | undefined {
    const attributes = nested(CTA_TUPLE_ORIG, encodeTuple(tuple));
    const family = familyOf(tuple.source) === 4 ? AF_INET : AF_INET6;
    const requests = Buffer.concat([CT_GET, CT_DELETE].map((type) => netfilterMessage(type, NLM_F_REQUEST, family, attributes)));
    checkedErrno(libc.send(this.#socket.fd, requests, requests.length, 0), 'ask for a conntrack entry');
    const reply = this.#receive();
    // The kernel answers a deletion only if there was nothing to delete.
    if (reply === undefined) this.#receive();
    return reply && decodeTuple(decodeAttributes(reply.subarray(4)).get(CTA_TUPLE_REPLY) ?? Buffer.alloc(0));
  }

  #receive(): Buffer | undefined {
    const length = checkedErrno(libc.recv(this.#socket.fd, this.#datagram, this.#datagram.length, 0), 'receive a conntrack entry');
    const [answer] = splitMessages(this.#datagram.subarray(0, length));
    if (answer?.type !== NLMSG_ERROR) return answer?.body;
    const errno = -answer.body.readInt32LE(0);
    if (errno !== ENOENT) throw new KernelError('look up a conntrack entry', errno);
    return undefined;
  }

  close(): void {
    this.#socket.close();
  }
}

function encodeTuple({ protocol, source, sourcePort, destination, destinationPort }: FlowTuple): Buffer {
  const [from, to] = IP_ATTRIBUTES[familyOf(source)];
  const ip = [attribute(from, wireBytes(source)), attribute(to, wireBytes(destination))];
  const ports = [attribute(CTA_PROTO_SRC_PORT, be16(sourcePort)), attribute(CTA_PROTO_DST_PORT, be16(destinationPort))];
  const proto = [attribute(CTA_PROTO_NUM, Buffer.from([protocol])), ...ports];
  return Buffer.concat([nested(CTA_TUPLE_IP, Buffer.concat(ip)), nested(CTA_TUPLE_PROTO, Buffer.concat(proto))]);
}

function decodeTuple(bytes: Buffer): FlowTuple {
  const parts = decodeAttributes(bytes);
  const ip = decodeAttributes(parts.get(CTA_TUPLE_IP) ?? Buffer.alloc(0));
  const proto = decodeAttributes(parts.get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  const [from, to] = IP_ATTRIBUTES[ip.has(IP_ATTRIBUTES[4][0]) ? 4 : 6];
  return {
    protocol: proto.get(CTA_PROTO_NUM)?.[0] ?? 0,
    source: addressOf(ip.get(from)),
    sourcePort: proto.get(CTA_PROTO_SRC_PORT)?.readUInt16BE() ?? 0,
    destination: addressOf(ip.get(to)),
    destinationPort: proto.get(CTA_PROTO_DST_PORT)?.readUInt16BE() ?? 0,
  };
}

const wireBytes = (address: Address): Buffer => Buffer.from(addressBytes(address).subarray(familyOf(address) === 4 ? 12 : 0));

const addressOf = (bytes: Buffer = Buffer.alloc(4)): Address =>
  bytes.length === 4 ? (bytes.join('.') as Address) : addressFromBytes(bytes);

const be16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
