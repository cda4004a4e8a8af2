/** The first packet of a flow, as an Ethernet frame. */
import { type Address, addressBytes, familyOf } from '#lib/address.ts';

/** Addresses, ports and protocol of a frame. */
export interface FrameSpec {
  readonly protocol: 'tcp' | 'udp';
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
}

/** IPPROTO_*. */
export const PROTOCOL_NUMBERS = { tcp: 6, udp: 17 } as const;

const ETHERNET_BYTES = 14;
const TCP_SYN = 0x5002;

/** A SYN or an empty datagram to a device with this Ethernet address. Checksums are 0, because the programs do not verify them. */
export function buildFrame(spec: FrameSpec, ethernetAddress: Buffer): Buffer {
  const family = familyOf(spec.source);
  const ethernet = Buffer.alloc(ETHERNET_BYTES);
  ethernet.set(ethernetAddress);
  ethernet.writeUInt16BE(family === 4 ? 0x0800 : 0x86dd, 12);
  const transport = transportHeader(spec);
  return Buffer.concat([ethernet, family === 4 ? ipv4Header(spec, transport.length) : ipv6Header(spec, transport.length), transport]);
}

function transportHeader({ protocol, sourcePort, destinationPort }: FrameSpec): Buffer {
  const header = Buffer.alloc(protocol === 'tcp' ? 20 : 8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  if (protocol === 'tcp') header.writeUInt16BE(TCP_SYN, 12);
  else header.writeUInt16BE(header.length, 4);
  return header;
}

function ipv4Header({ protocol, source, destination }: FrameSpec, payload: number): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(header.length + payload, 2);
  header[8] = 64;
  header[9] = PROTOCOL_NUMBERS[protocol];
  header.set(addressBytes(source).subarray(12), 12);
  header.set(addressBytes(destination).subarray(12), 16);
  return header;
}

function ipv6Header({ protocol, source, destination }: FrameSpec, payload: number): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload, 4);
  header[6] = PROTOCOL_NUMBERS[protocol];
  header[7] = 64;
  header.set(addressBytes(source), 8);
  header.set(addressBytes(destination), 24);
  return header;
}
