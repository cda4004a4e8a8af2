/** The agents of a scenario lab: their flags, their objects, and how to tell that these are in force. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '#lab/lab.ts';
import { scaled } from '../datapath/ground.ts';
import { EVERY_PODS_PORT, NODES } from './lab-world.ts';
import { placeOf } from './world.ts';

/** Agents of both nodes, started with the first objects. */
export interface LabAgents {
  /** Resolves when both agents have these objects in their kernel and nothing else; other flags start them anew. */
  follow(manifests: readonly object[], flags: readonly string[]): Promise<void>;
}

/** ClusterIPs of the two Services that tell how far the agents are. */
const SENTINELS = ['172.30.255.253', '172.30.255.254'] as const;
const WAIT_MS = 30_000;
const POLL_MS = 5;

/** Agents for a lab without any. `scope`: of their sockets. */
export function createLabAgents(lab: Lab, scope: 'all' | 'host'): LabAgents {
  let generation = 1;
  let started: string | undefined;

  const everyAgent = (act: (agent: ReturnType<Lab['agent']>) => Promise<void>): Promise<unknown> =>
    Promise.all(NODES.map((node) => act(lab.agent(node))));

  return {
    async follow(manifests, flags) {
      const isAnew = started !== flags.join(' ');
      if (isAnew) await everyAgent((agent) => agent.kill());
      started = undefined;
      generation++;
      const [first, second] = SENTINELS;
      lab.writeManifest('objects.json', [...manifests, ...sentinel('first', first, generation)]);
      if (isAnew) await everyAgent((agent) => agent.start({ extraFlags: [`--socket-scope=${scope}`, ...flags] }));
      started = flags.join(' ');
      await answers(lab, first, generation);
      // What is seen may still be in the midst of being written. The next change is taken up when all of it is.
      lab.writeManifest('second.json', sentinel('second', second, generation));
      await answers(lab, second, generation);
    },
  };
}

/** A Service that answers on port `generation` and no other. */
function sentinel(name: string, clusterIP: string, generation: number): object[] {
  const metadata = { name, namespace: 'lab' };
  const endpoints = [{ addresses: [placeOf('a1')?.addresses[4]] }];
  const ports = [{ protocol: 'TCP', port: EVERY_PODS_PORT }];
  const labels = { 'kubernetes.io/service-name': name };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP, ports: [{ protocol: 'TCP', port: generation }] } },
    { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { ...metadata, labels }, addressType: 'IPv4', ports, endpoints },
  ];
}

async function answers(lab: Lab, address: string, port: number): Promise<void> {
  const deadline = Date.now() + scaled(WAIT_MS);
  for (const node of NODES) {
    while ((await lab.dial(node, { protocol: 'tcp', address, port, timeoutMs: 200 })).outcome !== 'answered') {
      if (Date.now() > deadline) throw new Error(`The agent of ${node} does not have the objects of step ${port}:\n${lab.agent(node).log}`);
      await sleep(POLL_MS);
    }
  }
}
