/**
 * The process that lets others into a network namespace: what connects to a Unix socket comes out as a TCP connection to a port on the
 * loopback device there. Arguments: path of the socket, port.
 */
import { connect, createServer, type Socket } from 'node:net';

const [path = '', port = ''] = process.argv.slice(2);

const join = (one: Socket, other: Socket): void => {
  one.pipe(other);
  one.on('error', () => other.destroy()).on('close', () => other.destroy());
};

createServer((client) => {
  const server = connect(Number(port), '127.0.0.1');
  join(client, server);
  join(server, client);
}).listen(path);
