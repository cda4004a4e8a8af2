import type { Address } from '#lib/address.ts';
import { addressFromBytes } from '#lib/address.ts';
import { AF_INET, AF_INET6 } from '../node/socket-address.ts';
import { align4, NLA_TYPE_MASK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_HEADER, netlinkMessage } from './netlink-encoding.ts';

/** <linux/netlink.h>, <linux/rtnetlink.h>. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const RTM_GETLINK = 18;
export const RTM_GETADDR = 22;
export const NLM_F_DUMP_INTR = 0x10;

/** <linux/if_link.h>, <linux/if_addr.h>, <linux/if.h>. */
const IFLA_IFNAME = 3;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
const IFA_F_SECONDARY = 0x01;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_UNUSABLE = 0x40 | 0x08;

/** Bytes of `struct ifinfomsg`; `struct ifaddrmsg` is shorter, and the kernel ignores the rest. */
const IFINFOMSG = 16;

/** One netlink message; `body` follows the header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

/** A device of a network namespace. */
export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** `veth`, `bridge`, `vlan`, ...; undefined for hardware. */
  readonly kind: string | undefined;
  /** Interface index of the bridge, bond or VRF that this device is a port of. */
  readonly master: number | undefined;
  readonly isUp: boolean;
  readonly isLoopback: boolean;
}

/** rtnetlink's address scopes: where an address is valid. */
export type LinkAddressScope = 'global' | 'site' | 'link' | 'host' | 'nowhere';

/** An address of a device. */
export interface LinkAddress {
  readonly ifindex: number;
  readonly address: Address;
  /** Bits of the network, in the address's own family. */
  readonly prefixLength: number;
  readonly scope: LinkAddressScope;
  /** Not usable: duplicate address detection is under way or has failed. */
  readonly isTentative: boolean;
  /** Not to be used as a source. */
  readonly isDeprecated: boolean;
  /** IPv4: not the first of its network on the device. IPv6: temporary. */
  readonly isSecondary: boolean;
}

/** A request for every link or every address. */
export const dumpRequest = (type: typeof RTM_GETLINK | typeof RTM_GETADDR): Buffer =>
  netlinkMessage(type, NLM_F_REQUEST | NLM_F_DUMP, Buffer.alloc(IFINFOMSG));

/** Messages of one datagram; stops at a truncated one. */
export function* splitMessages(bytes: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + NLMSG_HEADER <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < NLMSG_HEADER || at + length > bytes.length) return;
    yield { type: bytes.readUInt16LE(at + 4), flags: bytes.readUInt16LE(at + 6), body: bytes.subarray(at + NLMSG_HEADER, at + length) };
    at += align4(length);
  }
}

/** Device of an RTM_NEWLINK body (`struct ifinfomsg` and attributes). */
export function decodeLink(body: Buffer): Link {
  const attributes = decodeAttributes(body.subarray(16));
  const details = attributes.get(IFLA_LINKINFO);
  const flags = body.readUInt32LE(8);
  return {
    ifindex: body.readInt32LE(4),
    name: textOf(attributes.get(IFLA_IFNAME)) ?? '',
    kind: details && textOf(decodeAttributes(details).get(IFLA_INFO_KIND)),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(),
    isUp: (flags & IFF_UP) !== 0,
    isLoopback: (flags & IFF_LOOPBACK) !== 0,
  };
}

/** Address of an RTM_NEWADDR body (`struct ifaddrmsg` and attributes); undefined for families other than IP. */
export function decodeLinkAddress(body: Buffer): LinkAddress | undefined {
  const attributes = decodeAttributes(body.subarray(8));
  // On point-to-point devices IFA_ADDRESS is the other end.
  const address = decodeAddress(body[0], attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS));
  if (address === undefined) return undefined;
  const flags = attributes.get(IFA_FLAGS)?.readUInt32LE() ?? body[2] ?? 0;
  return {
    ifindex: body.readUInt32LE(4),
    address,
    prefixLength: body[1] ?? 0,
    scope: scopeOf(body[3] ?? 0),
    isTentative: (flags & IFA_F_UNUSABLE) !== 0,
    isDeprecated: (flags & IFA_F_DEPRECATED) !== 0,
    isSecondary: (flags & IFA_F_SECONDARY) !== 0,
  };
}

function decodeAddress(family: number | undefined, bytes: Buffer | undefined): Address | undefined {
  if (family === AF_INET && bytes?.length === 4) return bytes.join('.') as Address;
  if (family === AF_INET6 && bytes?.length === 16) return addressFromBytes(bytes);
  return undefined;
}

function scopeOf(scope: number): LinkAddressScope {
  if (scope < 200) return 'global';
  return ({ 200: 'site', 253: 'link', 254: 'host' } as const)[scope] ?? 'nowhere';
}

/** Attributes by type; leaves nested ones encoded and stops at a truncated one. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return attributes;
}

const textOf = (bytes: Buffer | undefined): string | undefined => bytes?.toString('utf8').replace(/\0.*$/s, '');
