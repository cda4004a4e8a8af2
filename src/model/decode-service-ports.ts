import { children, choice, integer, type LocatedFields, text, wrong } from './fields.ts';
import { DNS_LABEL } from './metadata.ts';
import type { ServicePort } from './service.ts';
import { MAX_PORT, nodePortAt, type ServiceType, warnUseless } from './service-type.ts';

/** Protocols that a port may have, the default first. */
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

/** spec.ports of a Service: every port has its own name, and its own number and NodePort among those of its protocol. */
export function decodeServicePorts(spec: LocatedFields, type: ServiceType): readonly ServicePort[] {
  const places = children(spec, 'ports');
  const ports = places.map((place) => decodePort(place, type, places.length > 1));
  refuseTwins(
    places,
    'name',
    ports.map((port) => port.name || undefined),
  );
  refuseTwins(
    places,
    'port',
    ports.map((port) => `${port.port}/${port.protocol}`),
  );
  refuseTwins(
    places,
    'nodePort',
    ports.map((port) => (port.nodePort === 0 ? undefined : `${port.nodePort}/${port.protocol}`)),
  );
  return ports;
}

function decodePort(place: LocatedFields, type: ServiceType, needsName: boolean): ServicePort {
  const name = decodePortName(place);
  if (name === '' && needsName) wrong(place, 'name', undefined, 'set, because the Service has several ports');
  return {
    name,
    protocol: choice(place, 'protocol', PROTOCOLS, 'TCP'),
    port: integer(place, 'port', 1, MAX_PORT),
    nodePort: decodeNodePort(place, type),
  };
}

/** Name of a port of a Service or a slice; empty where nothing stands. */
export function decodePortName(place: LocatedFields): string {
  const name = text(place, 'name');
  if (name !== '' && !DNS_LABEL.test(name)) wrong(place, 'name', name, 'a DNS label of at most 63 characters');
  return name;
}

function decodeNodePort(place: LocatedFields, type: ServiceType): number {
  const port = nodePortAt(place, 'nodePort');
  if (port === 0 || type === 'NodePort' || type === 'LoadBalancer') return port;
  warnUseless(place, 'nodePort', type);
  return 0;
}

/** An error for each value that an earlier place has too. */
export function refuseTwins(places: readonly LocatedFields[], key: string, values: readonly (string | undefined)[]): void {
  places.forEach((place, i) => {
    const value = values[i];
    const first = values.indexOf(value);
    if (value !== undefined && first < i) wrong(place, key, value, `another than that of ${places[first]?.path}`);
  });
}
