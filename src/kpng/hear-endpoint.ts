import type { Family } from '#lib/address.ts';
import { decodeObject } from '#model/decode.ts';
import type { Endpoint } from '#model/endpoint-slice.ts';
import type { Protocol } from '#model/service.ts';
import { type EndpointPlace, endpointDocument } from './documents.ts';
import type { EndpointInfo, EndpointMessage } from './messages.ts';
import type { Standing } from './to-messages.ts';

/** One address of an endpoint as a peer describes it, checked. */
export interface HeardEndpoint {
  readonly endpoint: Endpoint;
  readonly family: Family;
  /** Name of its slice; empty where the peer does not say. */
  readonly slice: string;
  /** Protocol undefined: the peer does not say, it is that of the Service's port of that name. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: Protocol | undefined }[];
  /** What the peer has selected it for; undefined where it sends the facts to select by. */
  readonly standing: Standing | undefined;
}

/** What became of one message: its addresses, or what is wrong. `path` is for messages. */
export interface Heard {
  readonly endpoints: readonly HeardEndpoint[];
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

const NOWHERE = { slice: 'kpng', ready: true, nodeName: '', hintZones: [] };

/** An endpoint of the local stream: NAMESPACE/NAME/KEY. */
export function hearEndpoint(path: string, message: EndpointMessage): Heard {
  const [namespace = '', serviceName = ''] = path.split('/');
  const { Internal, External } = message.Scopes ?? { Internal: true, External: true };
  const standing = { local: message.Local, internal: Internal, external: External };
  const heard = hear(path, message, { namespace, serviceName, pod: '', ...NOWHERE });
  if (message.Facts !== null) return heard;
  return { ...heard, endpoints: heard.endpoints.map((each) => ({ ...each, slice: '', standing })) };
}

/** An endpoint of the global stream. */
export function hearEndpointInfo(path: string, message: EndpointInfo): Heard {
  const { Namespace, ServiceName, SourceName, PodName, Endpoint: endpoint, Conditions, Topology, Hints } = message;
  if (endpoint === null) return { endpoints: [], errors: [`Endpoint ${path}: Endpoint is missing, must be an endpoint`], warnings: [] };
  return hear(path, endpoint, {
    ...{ namespace: Namespace, serviceName: ServiceName, slice: SourceName, pod: PodName === '' ? '' : `${Namespace}/${PodName}` },
    ...{ ready: Conditions?.Ready ?? true, nodeName: Topology?.Node ?? '', hintZones: Hints?.Zones ?? [] },
  });
}

/** The first address of each family counts: kube-proxy uses no other. */
function hear(path: string, message: EndpointMessage, place: EndpointPlace): Heard {
  const addresses = [message.IPs?.V4[0], message.IPs?.V6[0]].filter((address) => address !== undefined);
  if (addresses.length === 0) return { endpoints: [], errors: [`Endpoint ${path}: IPs is empty, must be an address`], warnings: [] };
  const decoded = addresses.map((address) => decodeObject(endpointDocument(message, address, place)));
  const own = (text: string): string => text.replace(/^EndpointSlice [^:]*: /, `Endpoint ${path}: `);
  return {
    errors: decoded.flatMap((each) => (each.type === 'invalid' ? each.errors.map(own) : [])),
    warnings: decoded.flatMap((each) => (each.type === 'object' ? each.warnings.map(own) : [])),
    endpoints: decoded.flatMap((each) => {
      if (each.type !== 'object' || each.object.kind !== 'EndpointSlice') return [];
      const { endpoints, family, name, ports } = each.object.value;
      const named = ports.map((port) => ({ ...port, protocol: hasProtocol(message, port.name) ? port.protocol : undefined }));
      return endpoints.map((endpoint) => ({ endpoint, family, slice: name, ports: named, standing: undefined }));
    }),
  };
}

const hasProtocol = ({ PortOverrides }: EndpointMessage, name: string): boolean =>
  PortOverrides.some((override) => override.Name === name && override.Protocol !== 0);
