import { children, choice, integer, type LocatedFields, text, wrong } from './fields.ts';
import { DNS_LABEL } from './metadata.ts';
import type { ServicePort } from './service.ts';
import { MAX_PORT, nodePortAt, type ServiceType, warnUnused } from './service-type.ts';

/** Valid protocols of a port, the default first. */
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

/** spec.ports of a Service. Names are unique; numbers and NodePorts are unique per protocol. */
export function decodeServicePorts(spec: LocatedFields, type: ServiceType): readonly ServicePort[] {
  const places = children(spec, 'ports');
  const ports = places.map((place) => decodePort(place, type, places.length > 1));
  refuseDuplicates(
    places,
    'name',
    ports.map((port) => port.name || undefined),
  );
  refuseDuplicates(
    places,
    'port',
    ports.map((port) => `${port.port}/${port.protocol}`),
  );
  refuseDuplicates(
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

/** Name of a port of a Service or a slice; empty if absent. */
export function decodePortName(place: LocatedFields): string {
  const name = text(place, 'name');
  if (name !== '' && !DNS_LABEL.test(name)) wrong(place, 'name', name, 'a DNS label of at most 63 characters');
  return name;
}

function decodeNodePort(place: LocatedFields, type: ServiceType): number {
  const port = nodePortAt(place, 'nodePort');
  if (port === 0 || type === 'NodePort' || type === 'LoadBalancer') return port;
  warnUnused(place, 'nodePort', type);
  return 0;
}

/** Adds an error for each value that an earlier item has too. */
export function refuseDuplicates(places: readonly LocatedFields[], key: string, values: readonly (string | undefined)[]): void {
  places.forEach((place, i) => {
    const value = values[i];
    const first = values.indexOf(value);
    if (value !== undefined && first < i) wrong(place, key, value, `different from that of ${places[first]?.path}`);
  });
}
