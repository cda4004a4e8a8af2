import { createServer, type Server } from 'node:net';
import { lockStateFolder } from '#kernel/bpf/state-folder.ts';
import { ExitError } from './exit-error.ts';

/**
 * Makes this the one agent of a network namespace: two would undo each other's work. The lock is an abstract Unix socket, which
 * is private to the namespace and goes with the process, however that ends (unix(7)).
 */
export function lockNode(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const isTaken = code === 'EADDRINUSE';
      const reason = isTaken ? 'another weir agent runs in this network namespace: stop it first' : message;
      reject(new ExitError(isTaken ? 'taken' : 'node', `Cannot take this node: ${reason}`));
    });
    server.listen({ path: '\0weir-agent' }, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Makes this the one process that works on a state folder; throws an ExitError where another does. */
export function lockState(stateDir: string): { close(): void } {
  const folder = lockStateFolder(stateDir);
  if (folder !== undefined) return folder;
  throw new ExitError('taken', `Cannot use state folder ${stateDir}: another weir agent works there, stop it first`);
}
