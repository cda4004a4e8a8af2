import type { Backend } from '#abi/generated.ts';
import { ADDRESS_BYTES, type Address, addressBytes, addressFromBytes, type Family, familyOf } from '#lib/address.ts';
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
} from '../netlink/netlink-encoding.ts';

/** <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>. */
const SUBSYSTEM = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NEW_ELEMENTS = (SUBSYSTEM << 8) | 12;
const DELETE_ELEMENTS = (SUBSYSTEM << 8) | 14;
const GET_ELEMENTS = (SUBSYSTEM << 8) | 13;
const NLM_F_CREATE = 0x400;
const NFPROTO_INET = 1;
const ELEMENTS_TABLE = 1;
const ELEMENTS_SET = 2;
const ELEMENTS_LIST = 3;
const LIST_ELEMENT = 1;
const ELEMENT_KEY = 1;
const ELEMENT_DATA = 2;
const DATA_VALUE = 1;

const TABLE = attribute(ELEMENTS_TABLE, Buffer.from('weir\0'));

/** Bytes of an element before its data, of the headers of its data, and of a port with its padding. */
const KEY_END = 16;
const DATA_START = 8;
const PORT_BYTES = 4;

/** Elements of a message: an attribute is shorter than 64 KiB. */
const PER_MESSAGE = 1000;

/** An endpoint and its id. */
export interface BackendPlace extends Pick<Backend, 'address' | 'port'> {
  readonly id: number;
}

/** One transaction over maps `backends4` and `backends6` of table `inet weir`. */
export interface BackendsChange {
  /** Removes every element first. */
  readonly clears: boolean;
  /** Ids, which must be in the map of their family. */
  readonly remove: Readonly<Record<Family, readonly number[]>>;
  readonly add: readonly BackendPlace[];
}

/** The messages of a transaction (nfnetlink_rcv_batch in net/netfilter/nfnetlink.c); the kernel acknowledges the last one. */
export function encodeBackendsChange({ clears, remove, add }: BackendsChange): Buffer {
  const parts: Buffer[] = [];
  for (const family of [4, 6] as const) {
    if (clears) parts.push(elementsMessage(DELETE_ELEMENTS, family, undefined));
    for (const ids of portions(remove[family])) parts.push(elementsMessage(DELETE_ELEMENTS, family, encodeElements(family, ids)));
    const places = add.filter(({ address }) => familyOf(address) === family);
    for (const some of portions(places)) {
      const ids = some.map(({ id }) => id);
      parts.push(elementsMessage(NEW_ELEMENTS, family, encodeElements(family, ids, some)));
    }
  }
  const last = parts.at(-1);
  last?.writeUInt16LE(last.readUInt16LE(6) | NLM_F_ACK, 6);
  return Buffer.concat([batchMessage(BATCH_BEGIN), ...parts, batchMessage(BATCH_END)]);
}

function* portions<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += PER_MESSAGE) yield items.slice(at, at + PER_MESSAGE);
}

/** `elements`: encoded; without them a deletion empties the map. */
function elementsMessage(type: number, family: Family, elements: Buffer | undefined): Buffer {
  const flags = NLM_F_REQUEST | (type === NEW_ELEMENTS ? NLM_F_CREATE : 0);
  const set = attribute(ELEMENTS_SET, Buffer.from(`backends${family}\0`));
  return netfilterMessage(type, flags, NFPROTO_INET, TABLE, set, ...(elements === undefined ? [] : [nested(ELEMENTS_LIST, elements)]));
}

/** res_id of `struct nfgenmsg` names the subsystem, in network byte order. */
function batchMessage(type: number): Buffer {
  const message = netfilterMessage(type, NLM_F_REQUEST, 0);
  message.writeUInt16BE(SUBSYSTEM, message.length - 2);
  return message;
}

/**
 * An element of the list: { key: { value: id }, data: { value: address . port } }, each a nested attribute. The parts of a concatenation begin
 * at multiples of four bytes.
 */
function encodeElements(family: Family, ids: readonly number[], places?: readonly BackendPlace[]): Buffer {
  const addressLength = family === 4 ? 4 : ADDRESS_BYTES;
  const size = KEY_END + (places === undefined ? 0 : DATA_START + addressLength + PORT_BYTES);
  const bytes = Buffer.alloc(ids.length * size);
  const header = (at: number, length: number, type: number): void => {
    bytes.writeUInt16LE(length, at);
    bytes.writeUInt16LE(type, at + 2);
  };
  ids.forEach((id, i) => {
    const at = i * size;
    header(at, size, LIST_ELEMENT | NLA_F_NESTED);
    header(at + 4, 12, ELEMENT_KEY | NLA_F_NESTED);
    header(at + 8, 8, DATA_VALUE);
    bytes.writeUInt32LE(id, at + 12);
    const place = places?.[i];
    if (place === undefined) return;
    header(at + KEY_END, size - KEY_END, ELEMENT_DATA | NLA_F_NESTED);
    header(at + KEY_END + 4, size - KEY_END - 4, DATA_VALUE);
    const data = at + KEY_END + DATA_START;
    bytes.set(addressBytes(place.address).subarray(ADDRESS_BYTES - addressLength), data);
    bytes.writeUInt16BE(place.port, data + addressLength);
  });
  return bytes;
}

/** A request for all elements of a map. */
export const backendsRequest = (family: Family): Buffer =>
  netfilterMessage(
    GET_ELEMENTS,
    NLM_F_REQUEST | NLM_F_DUMP,
    NFPROTO_INET,
    TABLE,
    attribute(ELEMENTS_SET, Buffer.from(`backends${family}\0`)),
  );

/** Calls `each` for every element in the body of an answer. */
export function decodeBackends(body: Buffer, each: (place: BackendPlace) => void): void {
  const list = findAttribute(body, NFGENMSG, body.length, ELEMENTS_LIST);
  if (list === undefined) return;
  for (let at = list.at; at + 4 <= list.end; at += align4(body.readUInt16LE(at))) {
    const end = at + body.readUInt16LE(at);
    const key = valueIn(body, at + 4, end, ELEMENT_KEY);
    const data = valueIn(body, at + 4, end, ELEMENT_DATA);
    if (key === undefined || data === undefined) continue;
    const addressEnd = data.length - PORT_BYTES;
    const address = addressEnd === 4 ? (data.subarray(0, 4).join('.') as Address) : addressFromBytes(data.subarray(0, addressEnd));
    each({ id: key.readUInt32LE(0), address, port: data.readUInt16BE(addressEnd) });
  }
}

function valueIn(body: Buffer, from: number, to: number, type: number): Buffer | undefined {
  const outer = findAttribute(body, from, to, type);
  const value = outer && findAttribute(body, outer.at, outer.end, DATA_VALUE);
  return value && body.subarray(value.at, value.end);
}

/** Where the value of an attribute begins and ends; one pass over large answers allocates nothing else. */
function findAttribute(body: Buffer, from: number, to: number, type: number): { readonly at: number; readonly end: number } | undefined {
  for (let at = from; at + 4 <= to; ) {
    const length = body.readUInt16LE(at);
    if (length < 4) return undefined;
    if ((body.readUInt16LE(at + 2) & NLA_TYPE_MASK) === type) return { at: at + 4, end: at + length };
    at += align4(length);
  }
  return undefined;
}
