import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** An IP address in its one canonical text: dotted decimal, or RFC 5952. Equal addresses are equal strings. */
export type Address = string & { readonly __address: unique symbol };

/** A network: `length` counts from the start of its own family's address, 0 to 32 or 0 to 128; host bits are zero. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** Stands for all NodePort addresses of a family, see `struct frontend_key`. */
export const ZERO_ADDRESS: Readonly<Record<Family, Address>> = { 4: '0.0.0.0' as Address, 6: '::' as Address };

/** Bytes of an address in the tables; IPv4 addresses are in IPv4-mapped form. */
export const ADDRESS_BYTES = 16;

/** Bits of IPv4-mapped form before the IPv4 address. */
const MAPPED_BITS = 96;

/** Family of a canonical address. */
export const familyOf = (address: Address): Family => (address.includes(':') ? 6 : 4);

const CANONICAL_IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?=.)|$)){4}$/;

/** Canonical address of a text; undefined for any other text, including zones and short IPv4 forms such as `10.1`. */
export function parseAddress(text: string): Address | undefined {
  // Nearly all addresses; ipaddr.js takes ten times as long
  if (CANONICAL_IPV4.test(text)) return text as Address;
  // ipaddr.js throws and catches an exception for each text that is not an IPv4 address, so IPv6 texts skip this check
  if (!text.includes(':')) return ipaddr.IPv4.isValidFourPartDecimal(text) ? (ipaddr.IPv4.parse(text).toString() as Address) : undefined;
  const groups = withoutQuad(text);
  if (groups === undefined || groups.includes('%') || !ipaddr.IPv6.isValid(groups)) return undefined;
  const parsed = ipaddr.IPv6.parse(groups);
  return (parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()) as Address;
}

/** An IPv6 text with its dotted quad, if any, as two groups; undefined for a quad that is not one. ipaddr.js reads `::1.2.3.4` as IPv4-mapped. */
function withoutQuad(text: string): string | undefined {
  if (!text.includes('.')) return text;
  const at = text.lastIndexOf(':') + 1;
  if (!CANONICAL_IPV4.test(text.slice(at))) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = text.slice(at).split('.').map(Number);
  return `${text.slice(0, at)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/**
 * Network of a text such as `10.0.0.0/8`, host bits cleared, surrounding blanks allowed; undefined for any other text. As in Go's
 * net.ParseCIDR and kube-proxy, `::ffff:10.0.0.0/104` is 10.0.0.0/8, and a shorter prefix of such an address is an IPv6 network.
 */
export function parsePrefix(text: string): Prefix | undefined {
  const [base = '', digits = '', rest] = text.trim().split('/');
  const address = parseAddress(base);
  if (address === undefined || rest !== undefined || !/^\d{1,3}$/.test(digits)) return undefined;
  const bits = Number(digits) + (base.includes(':') ? 0 : MAPPED_BITS);
  if (bits > 8 * ADDRESS_BYTES) return undefined;
  const network = addressFromBytes(masked(addressBytes(address), bits));
  return { address: network, length: familyOf(network) === 4 ? bits - MAPPED_BITS : bits };
}

/** Address of a text whose numbers may have leading zeros, and are decimal: objects of old clusters have such texts (ParseIPSloppy, TestBadIPs). */
export const parseSloppyAddress = (text: string): Address | undefined => parseAddress(withoutLeadingZeros(text));

/** Network of such a text; surrounding blanks are allowed (ParseCIDRSloppy). */
export const parseSloppyPrefix = (text: string): Prefix | undefined => parsePrefix(withoutLeadingZeros(text));

const withoutLeadingZeros = (text: string): string =>
  /(^|\D)0\d/.test(text) ? text.replace(/\d+(\.\d+){3}/, (quad) => quad.replaceAll(/(^|\.)0+(?=\d)/g, '$1')) : text;

/** CIDR notation, such as `10.0.0.0/8`. */
export const formatPrefix = (prefix: Prefix): string => `${prefix.address}/${prefix.length}`;

/** Whether a network contains an address; always false for an address of the other family. */
export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (familyOf(prefix.address) !== familyOf(address)) return false;
  return addressFromBytes(maskedBytes(address, prefix.length)) === prefix.address;
}

/** Writes the 16 bytes of an address in the tables. */
export function encodeAddress(address: Address, into: Uint8Array, at: number): void {
  if (familyOf(address) === 6) encodeGroups(address, into, at);
  else encodeQuad(address, into, at);
}

/** Reverse of encodeAddress. */
export const decodeAddress = (from: Uint8Array, at: number): Address =>
  (isMapped(from, at) ? `${from[at + 12]}.${from[at + 13]}.${from[at + 14]}.${from[at + 15]}` : formatGroups(from, at)) as Address;

/** The 16 bytes of an address in the tables. */
export function addressBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  encodeAddress(address, bytes, 0);
  return bytes;
}

/** Reverse of addressBytes. */
export const addressFromBytes = (bytes: Uint8Array): Address => decodeAddress(bytes, 0);

/** Length of a prefix in the tables, where IPv4 is IPv4-mapped: 0 to 128 bits. */
export const tablePrefixBits = (prefix: Prefix): number => prefix.length + (familyOf(prefix.address) === 4 ? MAPPED_BITS : 0);

/** A network as the tables hold it: an IPv6 network that contains the IPv4-mapped range is split into parts without that range. */
export function withoutMapped(prefix: Prefix): readonly Prefix[] {
  const mapped = addressBytes(ZERO_ADDRESS[4]);
  if (addressFromBytes(masked(mapped, prefix.length)) !== prefix.address) return [prefix];
  return Array.from({ length: MAPPED_BITS - prefix.length }, (_, i) => {
    const bit = prefix.length + i;
    const besides = masked(mapped, bit + 1).map((byte, at) => (at === bit >> 3 ? byte ^ (0x80 >> (bit & 7)) : byte));
    return { address: addressFromBytes(besides), length: bit + 1 };
  });
}

const DOT = 46;
const COLON = 58;

/* Hand-written because a full resync runs these functions for every entry. They rely on canonical addresses. */

function encodeQuad(address: Address, into: Uint8Array, at: number): void {
  into.fill(0, at, at + 10);
  into[at + 10] = into[at + 11] = 0xff;
  let place = at + 12;
  let number = 0;
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i);
    if (code === DOT) {
      into[place++] = number;
      number = 0;
    } else number = number * 10 + code - 48;
  }
  into[place] = number;
}

function encodeGroups(address: Address, into: Uint8Array, at: number): void {
  let [place, gap, group, digits] = [at, -1, 0, 0];
  for (let i = 0; i <= address.length; i++) {
    const code = i < address.length ? address.charCodeAt(i) : COLON;
    if (code !== COLON) {
      group = (group << 4) | hexDigit(code);
      digits++;
    } else if (digits > 0) {
      into[place++] = group >>> 8;
      into[place++] = group;
      group = digits = 0;
    } else if (i < address.length) gap = place;
  }
  if (gap < 0) return;
  const tail = at + ADDRESS_BYTES - (place - gap);
  into.copyWithin(tail, gap, place);
  into.fill(0, gap, tail);
}

const hexDigit = (code: number): number => (code <= 57 ? code - 48 : code - 87);

/* RFC 5952, 4: lower case, no leading zeros, `::` replaces the first longest run of at least two zero groups. */
function formatGroups(from: Uint8Array, at: number): string {
  const { start, length } = longestZeroRun(from, at);
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === start) {
      text += '::';
      i += length - 1;
    } else {
      if (i > 0 && i !== start + length) text += ':';
      text += groupAt(from, at, i).toString(16);
    }
  }
  return text;
}

function longestZeroRun(from: Uint8Array, at: number): { readonly start: number; readonly length: number } {
  let [start, length, run] = [-1, 1, 0];
  for (let i = 0; i < 8; i++) {
    run = groupAt(from, at, i) === 0 ? run + 1 : 0;
    if (run > length) [start, length] = [i - run + 1, run];
  }
  return { start, length };
}

const groupAt = (from: Uint8Array, at: number, i: number): number => ((from[at + 2 * i] as number) << 8) | (from[at + 2 * i + 1] as number);

function isMapped(from: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (from[at + i] !== 0) return false;
  return from[at + 10] === 0xff && from[at + 11] === 0xff;
}

const maskedBytes = (address: Address, length: number): Uint8Array =>
  masked(addressBytes(address), length + (familyOf(address) === 4 ? MAPPED_BITS : 0));

const masked = (bytes: Uint8Array, bits: number): Uint8Array =>
  bytes.map((byte, i) => byte & (0xff << Math.max(0, 8 - Math.max(0, bits - 8 * i))));
