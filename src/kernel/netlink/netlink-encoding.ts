/** Encodes netlink messages: `struct nlmsghdr`, a fixed header of the subsystem, attributes (<linux/netlink.h>). */

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;

/** Bytes of `struct nlmsghdr`. */
export const NLMSG_HEADER = 16;
/** Bytes of `struct nfgenmsg` (<linux/netfilter/nfnetlink.h>). */
export const NFGENMSG = 4;

/** Attributes that hold attributes; the mask takes this bit and the byte order's from a type. */
export const NLA_F_NESTED = 0x8000;
export const NLA_TYPE_MASK = 0x3fff;

/** Messages and attributes begin at multiples of four bytes. */
export const align4 = (length: number): number => (length + 3) & ~3;

/** A message whose parts follow the netlink header. */
export function netlinkMessage(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(NLMSG_HEADER), ...parts]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  return bytes;
}

/** A message of a netfilter subsystem, with its `struct nfgenmsg`. `family`: AF_* or NFPROTO_*; 0 = all. */
export const netfilterMessage = (type: number, flags: number, family: number, ...attributes: readonly Buffer[]): Buffer =>
  netlinkMessage(type, flags, Buffer.from([family, 0, 0, 0]), ...attributes);

/** A netlink attribute, padded to four bytes. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

/** An attribute that holds attributes. */
export const nested = (type: number, ...attributes: readonly Buffer[]): Buffer => attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
