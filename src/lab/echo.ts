import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { hostPort } from '#lib/host-port.ts';
import type { Server } from './topology.ts';

/** A server's answer about itself and its client: one line of JSON. */
export interface Answer {
  readonly pod: string;
  readonly node: string;
  /** `address:port` as the server sees it; IPv6 addresses in brackets. */
  readonly client: string;
  readonly local: string;
  readonly protocol: 'tcp' | 'udp';
  /** The line or datagram that this answers; absent for the greeting upon connect. */
  readonly echo?: string;
}

/** Serves TCP on a bound socket: greets each client at once, then answers each line until the client closes. */
export function serveTcp(fd: number, server: Server): void {
  createServer((socket) => greet(socket, server)).listen({ fd });
}

function greet(socket: Socket, server: Server): void {
  socket.on('error', () => socket.destroy());
  const client = hostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0);
  const answer: Answer = { pod: server.pod, node: server.node, client, local: hostPort(server.address, server.port), protocol: 'tcp' };
  socket.setNoDelay(true);
  socket.write(line(answer));
  readLines(socket, (echo) => socket.write(line({ ...answer, echo })));
}

/** Calls back for each line; the socket's own listener receives its errors. */
export function readLines(socket: Socket, each: (line: string) => void): void {
  createInterface({ input: socket })
    .on('line', each)
    .on('error', () => {});
}

/** Serves UDP on a bound socket: one answer for each datagram. */
export function serveUdp(fd: number, server: Server): void {
  const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4');
  const local = hostPort(server.address, server.port);
  socket.on('error', () => {});
  socket.on('message', (message, { address, port }) => {
    const client = hostPort(address, port);
    socket.send(line({ pod: server.pod, node: server.node, client, local, protocol: 'udp', echo: message.toString() }), port, address);
  });
  socket.bind({ fd });
}

const line = (answer: Answer): string => `${JSON.stringify(answer)}\n`;
