import { createServer, type Server } from 'node:http';
import type { Address } from '#lib/address.ts';
import type { HttpAnswer } from './answer.ts';

/** An HTTP server at one address and port. */
export interface HttpListener {
  /** Ends open connections too; the port is free when this returns. */
  close(): void;
}

interface Parts {
  readonly address: Address;
  readonly port: number;
  /** The zero address of IPv6 accepts IPv4 too. */
  readonly bothFamilies?: boolean;
  /** Called for each request with its path, without the query. */
  readonly answer: (path: string) => HttpAnswer | Promise<HttpAnswer>;
  readonly onOpen: () => void;
  /** Called after each failed attempt to open, and after each failure to accept a connection. */
  readonly onError: (error: NodeJS.ErrnoException, isOpen: boolean) => void;
}

/** Time between attempts to open, ms. */
export const RETRY_MS = 1000;

/** Listens until closed. Retries every RETRY_MS while the address and port are not available. */
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

/** For messages: why an address and port are not available. */
export const reasonOf = ({ code, message }: NodeJS.ErrnoException): string =>
  code === 'EADDRINUSE' ? 'another process listens there, the port should be free' : message;
