/** SCTP at the places of a lab without sockets, see test/datapath/speaker.c. */
import type { Lab } from '#lab/lab.ts';
import { buildRawPrograms, startRaw } from '../datapath/sctp.ts';
import type { Scenario } from './scenario.ts';
import { PLACES } from './world.ts';

/** Starts a server for every SCTP endpoint of the scenarios, which answers `a1:2906`, until the lab is removed. */
export async function serveSctp(lab: Lab, scenarios: readonly Scenario[]): Promise<void> {
  const objects = scenarios.flatMap(({ steps }) => steps.flatMap((step) => step.objects));
  const listeners = objects.flatMap((object) => {
    if (object.kind !== 'EndpointSlice') return [];
    const ports = object.value.ports.filter(({ protocol }) => protocol === 'SCTP').map(({ port }) => port);
    return object.value.endpoints.flatMap(({ address }) => ports.flatMap((port) => listenerAt(address, port)));
  });
  buildRawPrograms();
  await Promise.all([...new Set(listeners)].map((listener) => startListener(lab, listener)));
}

function listenerAt(address: string, port: number): string[] {
  const place = PLACES.find((one) => Object.values(one.addresses).some((own) => own === address));
  return place === undefined || place.kind === 'outside' ? [] : [`${place.name}:${port}`];
}

const startListener = (lab: Lab, listener: string): Promise<unknown> => {
  const [place = '', port = ''] = listener.split(':');
  return startRaw(lab, place, 'speaker', 'serve', listener, port);
};
