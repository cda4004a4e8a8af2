/**
 * The process that is every server of a lab. Arguments: the file that lists the servers, and the lab's cgroup folder. It goes into a
 * node's cgroup while it makes the sockets of that node's servers, because a socket belongs to the cgroup that made it.
 * Prints `ready` or one line that names the problem.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bindSocketIn } from '#kernel/node/netns.ts';
import { familyOf } from '#lib/address.ts';
import { serveTcp, serveUdp } from './echo.ts';
import { KEEPER_CGROUP } from './paths.ts';
import type { Server } from './topology.ts';
import { netnsPath } from './wiring.ts';

const [serversFile = '', labCgroup = ''] = process.argv.slice(2);

const enterCgroup = (name: string): void => writeFileSync(join(labCgroup, name, 'cgroup.procs'), `${process.pid}`);

function serve(server: Server): void {
  const { address, port, protocol } = server;
  const binding = { family: familyOf(address), address, port };
  if (protocol === 'TCP') serveTcp(bindSocketIn(netnsPath(server.netns), { ...binding, protocol: 'tcp' }), server);
  if (protocol === 'UDP') serveUdp(bindSocketIn(netnsPath(server.netns), { ...binding, protocol: 'udp' }), server);
}

function serveAll(servers: readonly Server[]): void {
  for (const [node, ofNode] of Map.groupBy(servers, (server) => server.node)) {
    enterCgroup(node);
    ofNode.forEach(serve);
  }
  enterCgroup(KEEPER_CGROUP);
}

try {
  serveAll(JSON.parse(readFileSync(serversFile, 'utf8')));
  process.stdout.write('ready\n');
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
