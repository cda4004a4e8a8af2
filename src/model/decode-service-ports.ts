import { children, choice, integer, type Place, text, wrong } from './fields.ts';
import { DNS_LABEL } from './metadata.ts';
import type { ServicePort } from './service.ts';

/** Protocols that a port may have, the default first. */
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

export const MAX_PORT = 65535;

/** spec.ports of a Service: every port has its own name, and its own number and NodePort among those of its protocol. */
export function decodeServicePorts(spec: Place): readonly ServicePort[] {
  const places = children(spec, 'ports');
  const ports = places.map((place) => decodePort(place, places.length > 1));
  refuseTwins(
    places,
    'name',
    ports.map((port) => port.name),
  );
  refuseTwins(
    places,
    'port',
    ports.map((port) => `${port.port}/${port.protocol}`),
  );
  refuseTwins(
    places,
    'nodePort',
    ports.map((port) => (port.nodePort === 0 ? '' : `${port.nodePort}/${port.protocol}`)),
  );
  return ports;
}

function decodePort(place: Place, needsName: boolean): ServicePort {
  const name = text(place, 'name');
  if (name === '' && needsName) wrong(place, 'name', undefined, 'set, because the Service has several ports');
  if (name !== '' && !DNS_LABEL.test(name)) wrong(place, 'name', name, 'a DNS label of at most 63 characters');
  return {
    name,
    protocol: choice(place, 'protocol', PROTOCOLS, 'TCP'),
    port: integer(place, 'port', 1, MAX_PORT),
    nodePort: place.fields.nodePort === 0 ? 0 : integer(place, 'nodePort', 1, MAX_PORT, 0),
  };
}

/** An error for each value that an earlier place has too; empty values are nobody's twin. */
export function refuseTwins(places: readonly Place[], key: string, values: readonly string[]): void {
  places.forEach((place, i) => {
    const value = values[i] ?? '';
    const first = values.indexOf(value);
    if (value !== '' && first < i) wrong(place, key, value, `another than that of ${places[first]?.path}`);
  });
}
