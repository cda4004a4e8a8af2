/** A lab with every place of world.ts and every server of the scenarios. */
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import type { ModelObject } from '#model/objects.ts';
import { UNLIMITED_ICMP } from '../datapath/ground.ts';
import { serveSctp } from './lab-sctp.ts';
import type { Scenario } from './scenario.ts';
import { PLACES, type Place } from './world.ts';

export const NODES = ['n1', 'n2'] as const;

/** TCP port on which every pod listens in all scenarios. */
export const EVERY_PODS_PORT = 9999;

/** Builds a lab without agents. `letter` distinguishes the labs of one process. */
export async function raiseScenarioLab(letter: string, scenarios: readonly Scenario[], signal: AbortSignal): Promise<Lab> {
  const objects = scenarios.flatMap(({ steps }) => steps.flatMap((step) => step.objects));
  const items = [...NODES.map((name) => nodeObject(name, objects)), ...PLACES.flatMap((place) => listenersAt(place, objects))];
  const lab = await createLab({ name: `${letter}${process.pid}`, objects: items, agents: false, signal });
  try {
    await Promise.all([...NODES.map((name) => lab.exec(name, ['sh', '-c', UNLIMITED_ICMP])), serveSctp(lab, scenarios)]);
    return lab;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** The node with all its addresses of the scenarios, the usual ones first. */
function nodeObject(name: string, objects: readonly ModelObject[]): object {
  const usual = Object.values(PLACES.find((place) => place.name === name)?.addresses ?? {});
  const others = objects.flatMap((object) => (object.kind === 'Node' && object.key === name ? object.value.addresses : []));
  const addresses = [...new Set([...usual, ...others])].map((address) => ({ type: 'InternalIP', address }));
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, status: { addresses } };
}

/** Slices without a Service: the lab gives each endpoint a place and servers, outside clients too. */
function listenersAt(place: Place, objects: readonly ModelObject[]): object[] {
  return Object.entries(place.addresses).flatMap(([family, address]) => {
    const listed = objects.flatMap((object) => (object.kind === 'EndpointSlice' ? [object.value] : []));
    const own = listed.filter((slice) => slice.endpoints.some((endpoint) => endpoint.address === address)).flatMap((slice) => slice.ports);
    const always = place.kind === 'node' ? [] : [{ protocol: 'TCP', port: EVERY_PODS_PORT }];
    const ports = [...new Set([...always, ...own].map(({ protocol, port }) => `${protocol} ${port}`))].map((text) => text.split(' '));
    if (ports.length === 0) return [];
    return [
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: `${place.name}-${family}`, namespace: 't' },
        addressType: `IPv${family}`,
        ports: ports.map(([protocol, port]) => ({ name: `${protocol}-${port}`.toLowerCase(), protocol, port: Number(port) })),
        endpoints: [{ addresses: [address], ...(place.kind === 'outside' ? {} : ofPod(place)) }],
      },
    ];
  });
}

const ofPod = ({ name, node }: Place): object => ({ nodeName: node, targetRef: { kind: 'Pod', namespace: 't', name } });
