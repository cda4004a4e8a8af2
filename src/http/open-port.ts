import { type HostPort, hostPort } from '#lib/host-port.ts';
import type { HttpAnswer } from './answer.ts';
import { type HttpListener, listen, RETRY_MS, reasonOf } from './listener.ts';

interface Parts {
  /** The flag that says where to listen, for messages. */
  readonly flag: string;
  /** `::` takes IPv4 too, as Go does for kube-proxy. */
  readonly at: HostPort;
  /** Asked at each request, with its path. */
  readonly answer: (path: string) => HttpAnswer | Promise<HttpAnswer>;
  /** Told once of a port that cannot be opened, until it could. */
  readonly problem: (message: string) => void;
  readonly note: (message: string) => void;
  /** Told instead where a port that cannot be opened must not be. */
  readonly fatal?: ((message: string) => void) | undefined;
}

/** Serves a port of the agent itself, until it is closed; one that is taken is tried again and again. */
export function openPort({ flag, at, answer, problem, note, fatal }: Parts): HttpListener {
  const name = `${flag} ${hostPort(at.address, at.port)}`;
  let isFailing = false;
  return listen({
    ...at,
    bothFamilies: true,
    answer,
    onOpen() {
      if (isFailing) note(`Opened ${name}`);
      isFailing = false;
    },
    onError(error, isOpen) {
      const message = `Cannot open ${name}: ${reasonOf(error)}`;
      if (!isOpen && fatal !== undefined) return fatal(message);
      if (!isFailing) problem(`${message}; trying again every ${RETRY_MS} ms`);
      isFailing = true;
    },
  });
}
