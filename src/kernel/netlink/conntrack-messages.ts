import { type Address, decodeAddress } from '#lib/address.ts';
import type { UdpFlow, UdpPlace } from '#reconcile/flows/flows.ts';
import type { AF_INET, AF_INET6 } from '../node/socket-address.ts';

/** NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET and ..._DELETE of <linux/netfilter/nfnetlink_conntrack.h>. */
export const CT_GET = 0x101;
export const CT_DELETE = 0x102;
/** NLM_F_REQUEST | NLM_F_DUMP, NLM_F_REQUEST | NLM_F_ACK. */
const DUMP = 0x301;
const COMMAND = 0x5;
const HEADER = 20;
const NFGENMSG = 4;

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
export const CTA_TUPLE_ORIG = 1;
export const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_MARK = 8;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;
const CTA_FILTER = 25;
const CTA_STATUS_MASK = 26;
export const CTA_TUPLE_IP = 1;
export const CTA_TUPLE_PROTO = 2;
/** CTA_IP_V4_* and CTA_IP_V6_*. */
const CTA_IP_SOURCES = [1, 3] as const;
const CTA_IP_DESTINATIONS = [2, 4] as const;
export const CTA_PROTO_NUM = 1;
export const CTA_PROTO_SRC_PORT = 2;
export const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
/** CTA_FILTER_F_CTA_PROTO_NUM of net/netfilter/nf_internals.h. */
const FILTER_PROTOCOL = 1 << 3;

const IPPROTO_UDP = 17;
/** <linux/netfilter/nf_conntrack_common.h>. */
const IPS_DST_NAT = 1 << 5;

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

/**
 * Flow of an entry in a list's answer (`struct nfgenmsg` and attributes): who was dialled, and who sends the replies. `mark`: the bit of ours.
 * There may be a hundred thousand, hence by place.
 */
export function decodeFlow(body: Buffer, mark: number): UdpFlow {
  const all = { from: NFGENMSG, to: body.length };
  const markAt = find(body, all, CTA_MARK);
  return {
    dialled: placeOf(body, find(body, all, CTA_TUPLE_ORIG), CTA_IP_DESTINATIONS, CTA_PROTO_DST_PORT),
    answering: placeOf(body, find(body, all, CTA_TUPLE_REPLY), CTA_IP_SOURCES, CTA_PROTO_SRC_PORT),
    isOurs: markAt !== undefined && (body.readUInt32BE(markAt.from) & mark) !== 0,
  };
}

/** Deletes the entry of a list's answer, and no later one that has the same tuple. */
export function deletionRequest(body: Buffer): Buffer {
  const names = [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE].flatMap((type) => {
    const found = find(body, { from: NFGENMSG, to: body.length }, type);
    if (found === undefined) return [];
    return [attribute(type === CTA_TUPLE_ORIG ? type | NESTED : type, body.subarray(found.from, found.to))];
  });
  return request(CT_DELETE, COMMAND, body[0] ?? 0, ...names);
}

/** One end of a direction. */
function placeOf(body: Buffer, tuple: Span | undefined, addressTypes: readonly [v4: number, v6: number], portType: number): UdpPlace {
  const ip = find(body, tuple, CTA_TUPLE_IP);
  const v4 = find(body, ip, addressTypes[0]);
  const v6 = find(body, ip, addressTypes[1]);
  const port = find(body, find(body, tuple, CTA_TUPLE_PROTO), portType);
  const address = v4 === undefined ? decodeAddress(body, v6?.from ?? 0) : body.subarray(v4.from, v4.to).join('.');
  return { address: address as Address, port: port === undefined ? 0 : body.readUInt16BE(port.from) };
}

/** Bytes from a place up to another. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** Value of the attribute of a type, among those in `within`. */
function find(bytes: Buffer, within: Span | undefined, type: number): Span | undefined {
  for (let at = within?.from ?? 0; within !== undefined && at + 4 <= within.to; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return undefined;
    if ((bytes.readUInt16LE(at + 2) & TYPE_MASK) === type) return { from: at + 4, to: at + length };
    at += align4(length);
  }
  return undefined;
}

/** `struct nlmsghdr`, `struct nfgenmsg` and attributes. */
export function request(type: number, flags: number, family: number, ...attrs: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(HEADER), ...attrs]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes[16] = family;
  return bytes;
}

/** A netlink attribute, filled up to four bytes. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

/** An attribute that holds attributes. */
export const nested = (type: number, ...attrs: readonly Buffer[]): Buffer => attribute(type | NESTED, Buffer.concat(attrs));

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
