import { type Address, addressBytes, type Family } from '#lib/address.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;

/** `struct sockaddr_in` or `sockaddr_in6`; no address means every address. In family 6 an IPv4 address takes its mapped form. */
export function socketAddress(family: Family, address: Address | undefined, port: number): Buffer {
  const bytes = Buffer.alloc(family === 4 ? 16 : 28);
  bytes.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  if (address === undefined) return bytes;
  const full = addressBytes(address);
  if (family === 4) bytes.set(full.subarray(12), 4);
  else bytes.set(full, 8);
  return bytes;
}
