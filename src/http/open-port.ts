import { type HostPort, hostPort } from '#lib/host-port.ts';
import type { HttpAnswer } from './answer.ts';
import { type HttpListener, listen, RETRY_MS, reasonOf } from './listener.ts';

interface Parts {
  /** The flag of the address and port, for messages. */
  readonly flag: string;
  /** `::` accepts IPv4 too, as in kube-proxy by Go. */
  readonly at: HostPort;
  /** Called for each request with its path, without the query. */
  readonly answer: (path: string) => HttpAnswer | Promise<HttpAnswer>;
  /** Called once per series of failures. */
  readonly problem: (message: string) => void;
  readonly note: (message: string) => void;
  /** Called instead of `problem` and a retry, if given. */
  readonly fatal?: ((message: string) => void) | undefined;
}

/** Serves a port of the agent until closed; retries while the port is not available. */
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
