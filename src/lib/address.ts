import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** An IP address in its one canonical text: dotted decimal, or RFC 5952. Equal addresses are equal strings. */
export type Address = string & { readonly __address: unique symbol };

/** A network: `length` counts from the start of its own family's address, 0 to 32 or 0 to 128; host bits are zero. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** The address that stands for all NodePort addresses of a family, see `struct frontend_key`. */
export const ZERO_ADDRESS: Readonly<Record<Family, Address>> = { 4: '0.0.0.0' as Address, 6: '::' as Address };

/** Bytes of an address in the tables: an IPv4 address takes its IPv4-mapped form. */
export const ADDRESS_BYTES = 16;

export const familyOf = (address: Address): Family => (address.includes(':') ? 6 : 4);

/** Canonical address of a text; undefined for anything else, zones and shortened IPv4 forms such as `10.1` included. */
export function parseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString() as Address;
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const parsed = ipaddr.IPv6.parse(text);
  return (parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()) as Address;
}

/** Network of a text such as `10.0.0.0/8`, blanks around it tolerated, host bits cleared; undefined for anything else. */
export function parsePrefix(text: string): Prefix | undefined {
  const [base, bits, rest] = text.trim().split('/');
  const address = base === undefined ? undefined : parseAddress(base);
  if (address === undefined || bits === undefined || rest !== undefined || !/^\d{1,3}$/.test(bits)) return undefined;
  const length = Number(bits);
  const width = familyOf(address) === 4 ? 32 : 128;
  if (length > width) return undefined;
  return { address: addressFromBytes(maskedBytes(address, length)), length };
}

export const formatPrefix = (prefix: Prefix): string => `${prefix.address}/${prefix.length}`;

export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (familyOf(prefix.address) !== familyOf(address)) return false;
  return addressFromBytes(maskedBytes(address, prefix.length)) === prefix.address;
}

/** The 16 bytes that the tables hold. */
export function addressBytes(address: Address): Uint8Array {
  if (familyOf(address) === 6) return Uint8Array.from(ipaddr.IPv6.parse(address).toByteArray());
  const bytes = new Uint8Array(ADDRESS_BYTES);
  bytes[10] = bytes[11] = 0xff;
  address.split('.').forEach((part, i) => {
    bytes[12 + i] = Number(part);
  });
  return bytes;
}

/** Reverse of addressBytes. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (isMapped(bytes)) return bytes.subarray(12, 16).join('.') as Address;
  return ipaddr.fromByteArray([...bytes.subarray(0, ADDRESS_BYTES)]).toString() as Address;
}

/** Bits of the address in the tables that a prefix fixes, 0 to 128. */
export const tablePrefixBits = (prefix: Prefix): number => prefix.length + (familyOf(prefix.address) === 4 ? 96 : 0);

const isMapped = (bytes: Uint8Array): boolean => bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff;

function maskedBytes(address: Address, length: number): Uint8Array {
  const bytes = addressBytes(address);
  const bits = length + (familyOf(address) === 4 ? 96 : 0);
  return bytes.map((byte, i) => byte & (0xff << Math.max(0, 8 - Math.max(0, bits - 8 * i))));
}
