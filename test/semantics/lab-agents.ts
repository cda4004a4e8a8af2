/** The agents of a scenario lab: sets their flags and objects, and waits until these are in force. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '#lab/lab.ts';
import { PACKET_PATH_FLAG } from '#support/packet-path.ts';
import { scaled } from '../datapath/ground.ts';
import { EVERY_PODS_PORT, NODES } from './lab-world.ts';
import { placeOf } from './world.ts';

/** The agents of both nodes, started with the first objects. */
export interface LabAgents {
  /** Resolves when both kernels have exactly these objects. Changed flags restart the agents. */
  follow(manifests: readonly object[], flags: readonly string[]): Promise<void>;
}

/** ClusterIPs of the two sentinel Services, which show the progress of the agents. */
const SENTINELS = ['172.30.255.253', '172.30.255.254'] as const;
const WAIT_MS = 30_000;
const POLL_MS = 5;

/** Adds agents to a lab without agents. `scope`: their --socket-scope. */
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
      if (isAnew) await everyAgent((agent) => agent.start({ extraFlags: [`--socket-scope=${scope}`, PACKET_PATH_FLAG, ...flags] }));
      started = flags.join(' ');
      await answers(lab, first, generation);
      // The pass that wrote the first sentinel may not be complete. A pass with the second one starts only after that.
      lab.writeManifest('second.json', sentinel('second', second, generation));
      await answers(lab, second, generation);
    },
  };
}

/** A Service with the one port `generation`. */
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
