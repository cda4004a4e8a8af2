import { type Address, addressFromBytes } from '#lib/address.ts';
import type { AF_INET, AF_INET6 } from './socket-address.ts';

/** NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET and ..._DELETE of <linux/netfilter/nfnetlink_conntrack.h>. */
const CT_GET = 0x101;
const CT_DELETE = 0x102;
/** NLM_F_REQUEST | NLM_F_DUMP, NLM_F_REQUEST | NLM_F_ACK. */
const DUMP = 0x301;
const COMMAND = 0x5;
const HEADER = 20;
const NOTHING = Buffer.alloc(0);

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_MARK = 8;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;
const CTA_FILTER = 25;
const CTA_STATUS_MASK = 26;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_SOURCES: readonly number[] = [1, 3];
const CTA_IP_DESTINATIONS: readonly number[] = [2, 4];
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
/** CTA_FILTER_F_CTA_PROTO_NUM of net/netfilter/nf_internals.h. */
const FILTER_PROTOCOL = 1 << 3;

const IPPROTO_UDP = 17;
/** <linux/netfilter/nf_conntrack_common.h>. */
const IPS_DST_NAT = 1 << 5;

/** One direction of an entry. */
export interface ConntrackTuple {
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
}

/** An entry, as far as weir looks at it. */
export interface ConntrackEntry {
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  readonly mark: number;
}

/** Lists entries of both families whose mark has a bit. */
export const markedRequest = (mark: number): Buffer => request(CT_GET, DUMP, 0, markFilter(mark));

/**
 * Two lists, which together hold each UDP entry of a family once that is translated or whose mark has the bit: what gets a new destination, and
 * what is marked without it (a backend may have the very address that was dialled). The kernel does the picking (CTA_STATUS_MASK: Linux 5.18).
 */
export const udpRequests = (family: typeof AF_INET | typeof AF_INET6, mark: number): readonly Buffer[] => [
  request(CT_GET, DUMP, family, udpFilter(), statusFilter(IPS_DST_NAT)),
  request(CT_GET, DUMP, family, udpFilter(), statusFilter(0), markFilter(mark)),
];

const udpFilter = (): Buffer =>
  Buffer.concat([
    nested(CTA_TUPLE_ORIG, nested(CTA_TUPLE_PROTO, attribute(CTA_PROTO_NUM, Buffer.from([IPPROTO_UDP])))),
    nested(CTA_FILTER, attribute(CTA_FILTER_ORIG_FLAGS, hostU32(FILTER_PROTOCOL)), attribute(CTA_FILTER_REPLY_FLAGS, hostU32(0))),
  ]);

const statusFilter = (value: number): Buffer =>
  Buffer.concat([attribute(CTA_STATUS, u32(value)), attribute(CTA_STATUS_MASK, u32(IPS_DST_NAT))]);

const markFilter = (mark: number): Buffer => Buffer.concat([attribute(CTA_MARK, u32(mark)), attribute(CTA_MARK_MASK, u32(mark))]);

/** Entry of a list's answer: `struct nfgenmsg` and attributes. */
export function decodeEntry(body: Buffer): ConntrackEntry {
  const found = attributes(body.subarray(4));
  return {
    original: decodeTuple(found.get(CTA_TUPLE_ORIG)),
    reply: decodeTuple(found.get(CTA_TUPLE_REPLY)),
    mark: found.get(CTA_MARK)?.readUInt32BE() ?? 0,
  };
}

/** Deletes the entry of a list's answer, and no later one that has the same tuple. */
export function deletionRequest(body: Buffer): Buffer {
  const found = attributes(body.subarray(4));
  const names = [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE].flatMap((type) => {
    const value = found.get(type);
    return value === undefined ? [] : [attribute(type === CTA_TUPLE_ORIG ? type | NESTED : type, value)];
  });
  return request(CT_DELETE, COMMAND, body[0] ?? 0, ...names);
}

function decodeTuple(bytes: Buffer | undefined): ConntrackTuple {
  const parts = attributes(bytes);
  const ip = attributes(parts.get(CTA_TUPLE_IP));
  const ports = attributes(parts.get(CTA_TUPLE_PROTO));
  return {
    source: addressAmong(ip, CTA_IP_SOURCES),
    sourcePort: ports.get(CTA_PROTO_SRC_PORT)?.readUInt16BE() ?? 0,
    destination: addressAmong(ip, CTA_IP_DESTINATIONS),
    destinationPort: ports.get(CTA_PROTO_DST_PORT)?.readUInt16BE() ?? 0,
  };
}

/** CTA_IP_V4_* come before CTA_IP_V6_*. */
function addressAmong(parts: ReadonlyMap<number, Buffer>, [v4 = 0, v6 = 0]: readonly number[]): Address {
  const short = parts.get(v4);
  return short === undefined ? addressFromBytes(parts.get(v6) ?? NOTHING) : (short.join('.') as Address);
}

function attributes(bytes: Buffer = NOTHING): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) break;
    found.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return found;
}

/** `struct nlmsghdr`, `struct nfgenmsg` and attributes. */
function request(type: number, flags: number, family: number, ...attrs: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(HEADER), ...attrs]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes[16] = family;
  return bytes;
}

function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

const nested = (type: number, ...attrs: readonly Buffer[]): Buffer => attribute(type | NESTED, Buffer.concat(attrs));

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** CTA_FILTER's flags alone are in host byte order. */
function hostU32(value: number): Buffer {
  return u32(value).reverse();
}

const align4 = (length: number): number => (length + 3) & ~3;
