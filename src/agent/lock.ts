import { createServer, type Server } from 'node:net';

/**
 * Makes this the one agent of a network namespace: two would undo each other's work. The lock is an abstract Unix socket, which
 * is private to the namespace and goes with the process, however that ends (unix(7)).
 */
export function lockNode(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const reason = code === 'EADDRINUSE' ? 'another weir agent runs in this network namespace: stop it first' : message;
      reject(new Error(`Cannot take this node: ${reason}`));
    });
    server.listen({ path: '\0weir-agent' }, () => {
      server.unref();
      resolve(server);
    });
  });
}
