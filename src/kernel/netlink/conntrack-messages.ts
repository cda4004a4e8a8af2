import { type Address, decodeAddress } from '#lib/address.ts';
import type { UdpFlow, UdpPlace } from '#reconcile/flows/flows.ts';
import type { AF_INET, AF_INET6 } from '../node/socket-address.ts';
import {
  align4,
  attribute,
  NFGENMSG,
  NLA_F_NESTED,
  NLA_TYPE_MASK,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  nested,
  netfilterMessage,
} from './netlink-encoding.ts';

/** NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET and ..._DELETE of <linux/netfilter/nfnetlink_conntrack.h>. */
export const CT_GET = 0x101;
export const CT_DELETE = 0x102;
const DUMP = NLM_F_REQUEST | NLM_F_DUMP;
const COMMAND = NLM_F_REQUEST | NLM_F_ACK;

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
export const markedRequest = (mark: number): Buffer => netfilterMessage(CT_GET, DUMP, 0, markFilter(mark));

/**
 * Two lists that together hold each UDP entry of a family once that is translated or whose mark has the bit: entries with a new destination, and
 * marked entries without one (a backend may have the destination's own address). The kernel filters (CTA_STATUS_MASK: Linux 5.18).
 */
export const udpRequests = (family: typeof AF_INET | typeof AF_INET6, mark: number): readonly Buffer[] => [
  netfilterMessage(CT_GET, DUMP, family, udpFilter(), statusFilter(IPS_DST_NAT)),
  netfilterMessage(CT_GET, DUMP, family, udpFilter(), statusFilter(0), markFilter(mark)),
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
 * The flow of an entry in a list (`struct nfgenmsg` and attributes). Its mark says nothing: other programs may set the bit or overwrite it. Reads
 * attributes in place, because a list may hold a hundred thousand entries.
 */
export function decodeFlow(body: Buffer): UdpFlow {
  const all = { from: NFGENMSG, to: body.length };
  return {
    dialled: placeOf(body, find(body, all, CTA_TUPLE_ORIG), CTA_IP_DESTINATIONS, CTA_PROTO_DST_PORT),
    answering: placeOf(body, find(body, all, CTA_TUPLE_REPLY), CTA_IP_SOURCES, CTA_PROTO_SRC_PORT),
    isOurs: false,
  };
}

/** Deletes an entry of a list, but not a later entry with the same tuple. */
export function deletionRequest(body: Buffer): Buffer {
  const names = [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE].flatMap((type) => {
    const found = find(body, { from: NFGENMSG, to: body.length }, type);
    if (found === undefined) return [];
    return [attribute(type === CTA_TUPLE_ORIG ? type | NLA_F_NESTED : type, body.subarray(found.from, found.to))];
  });
  return netfilterMessage(CT_DELETE, COMMAND, body[0] ?? 0, ...names);
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

/** A range of bytes; `to` is exclusive. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** The value of the first attribute of a type in a range. */
function find(bytes: Buffer, within: Span | undefined, type: number): Span | undefined {
  for (let at = within?.from ?? 0; within !== undefined && at + 4 <= within.to; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return undefined;
    if ((bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK) === type) return { from: at + 4, to: at + length };
    at += align4(length);
  }
  return undefined;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Only the flags of CTA_FILTER are in host byte order. */
function hostU32(value: number): Buffer {
  return u32(value).reverse();
}
