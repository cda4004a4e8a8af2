import { createServer, type Server } from 'node:http';
import type { Address } from '#lib/address.ts';
import type { HttpAnswer } from './answer.ts';

/** An address and port that gives the same kind of answer to every request. */
export interface HttpListener {
  /** Ends connections too, whatever they are about; the port is free when this returns. */
  close(): void;
}

interface Parts {
  readonly address: Address;
  readonly port: number;
  /** The zero address of IPv6 takes IPv4 too. */
  readonly bothFamilies?: boolean;
  /** Asked at each request, with its path. */
  readonly answer: (path: string) => HttpAnswer | Promise<HttpAnswer>;
  readonly onOpen: () => void;
  /** Told of each try that fails, and of connections that cannot be had while it is open; it is tried again until it is closed. */
  readonly onError: (error: NodeJS.ErrnoException, isOpen: boolean) => void;
}

/** Time between tries to open, ms. */
export const RETRY_MS = 1000;

/** Listens until it is closed; an address and port that cannot be had is tried again and again. */
export function listen({ address, port, bothFamilies = false, answer, onOpen, onError }: Parts): HttpListener {
  let retry: NodeJS.Timeout | undefined;
  const server: Server = createServer(async (request, response) => {
    const { status, headers, body } = await answer((request.url ?? '').replace(/[?#].*/, ''));
    response.writeHead(status, headers).end(body);
  });
  const open = (): void => {
    server.listen({ host: address, port, ipv6Only: !bothFamilies });
  };
  server.on('listening', onOpen);
  server.on('error', (error) => {
    onError(error, server.listening);
    if (!server.listening) retry = setTimeout(open, RETRY_MS);
  });
  open();
  return {
    close() {
      clearTimeout(retry);
      server.removeAllListeners('error').on('error', () => {});
      server.close();
      server.closeAllConnections();
    },
  };
}

/** For messages: why an address and port cannot be had. */
export const reasonOf = ({ code, message }: NodeJS.ErrnoException): string =>
  code === 'EADDRINUSE' ? 'somebody else listens there, it should be free' : message;
