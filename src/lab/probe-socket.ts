import { createSocket, type Socket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { hostPort } from '#lib/host-port.ts';
import { type Answer, readLines } from './echo.ts';
import type { Target } from './probe.ts';

/** Listeners of a conversation; nothing is called after `close`. */
export interface Listener {
  /** TCP: the greeting has come. UDP: the socket can send. */
  ready(): unknown;
  answer(answer: Answer, peer: string): unknown;
  /** errno's name, or `closed`. */
  broken(code: string): unknown;
}

/** One socket that talks with an echo server. */
export interface Conversation {
  say(text: string, to?: Target): unknown;
  close(): unknown;
}

/** Opens a socket towards a target. A TCP server greets: its greeting is the first answer. */
export function converse(target: Target, listener: Listener): Conversation {
  let open = true;
  const whileOpen: Listener = {
    ready: () => open && listener.ready(),
    answer: (answer, peer) => open && listener.answer(answer, peer),
    broken: (code) => open && listener.broken(code),
  };
  const conversation = target.protocol === 'tcp' ? converseTcp(target, whileOpen) : converseUdp(target, whileOpen);
  const close = () => {
    open = false;
    conversation.close();
  };
  return { say: conversation.say, close };
}

function converseTcp(target: Target, listener: Listener): Conversation {
  const { address: host, port, localAddress, localPort } = target;
  const socket = connect({ host, port, ...(localAddress && { localAddress }), ...(localPort && { localPort }), noDelay: true });
  let peer = '';
  socket.on('connect', () => {
    peer = hostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    listener.ready();
  });
  readLines(socket, (line) => listener.answer(JSON.parse(line), peer));
  socket.on('error', (error) => listener.broken(codeOf(error)));
  socket.on('close', () => listener.broken('closed'));
  return { say: (text) => socket.write(`${text}\n`), close: () => socket.destroy() };
}

function converseUdp(target: Target, listener: Listener): Conversation {
  const socket = createSocket(isIPv6(target.address) ? 'udp6' : 'udp4');
  const connected = !target.unconnected;
  const fail = (error: Error | null) => error && listener.broken(codeOf(error));
  socket.on('error', fail);
  socket.on('connect', listener.ready);
  socket.on('message', (message, { address, port }) => {
    try {
      const peer = connected ? socket.remoteAddress() : { address, port };
      listener.answer(JSON.parse(message.toString()), hostPort(peer.address, peer.port));
    } catch (error) {
      // A socket that was ended may still have an answer to read, but has no peer
      fail(error as Error);
    }
  });
  socket.bind({ port: target.localPort ?? 0, ...(target.localAddress && { address: target.localAddress }) }, () => {
    if (connected) socket.connect(target.port, target.address);
    else listener.ready();
  });
  return {
    say: (text, to = target) => (connected ? sayAgain(socket, text, fail) : socket.send(text, to.port, to.address, fail)),
    close: () => socket.close(),
  };
}

/**
 * netfilter fails the call that sends a datagram that it refuses or drops (EPERM). The ICMP error of a refusal is what the next call returns
 * then.
 */
const sayAgain = (socket: Socket, text: string, fail: (error: Error | null) => unknown): void =>
  socket.send(text, (error) => (error !== null && codeOf(error) === 'EPERM' ? socket.send(text, fail) : fail(error)));

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message;
