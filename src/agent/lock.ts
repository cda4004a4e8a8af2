import { createServer, type Server } from 'node:net';
import { lockStateFolder } from '#kernel/bpf/state-folder.ts';
import { ExitError } from './exit-error.ts';

/**
 * Locks the network namespace for this agent: two agents would undo each other's work. The lock is an abstract Unix socket, which is private to
 * the namespace and disappears with the process (unix(7)).
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

/** Locks a state folder for this process; throws an ExitError if another process holds it. */
export function lockState(stateDir: string): { close(): void } {
  const folder = lockStateFolder(stateDir);
  if (folder !== undefined) return folder;
  throw new ExitError('taken', `Cannot use state folder ${stateDir}: another weir agent works there, stop it first`);
}
