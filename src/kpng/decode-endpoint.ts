/** Decodes the message of one endpoint, of either stream, to an Endpoint per address family. */
import type { Family } from '#lib/address.ts';
import { decodeObject } from '#model/decode.ts';
import type { Endpoint } from '#model/endpoint-slice.ts';
import type { Protocol } from '#model/service.ts';
import { type EndpointPlace, endpointDocument } from './documents.ts';
import type { EndpointInfo, EndpointMessage } from './messages.ts';
import type { EndpointScopes } from './to-messages.ts';

/** One address of an endpoint, validated. */
export interface DecodedEndpoint {
  readonly endpoint: Endpoint;
  readonly family: Family;
  /** Name of its EndpointSlice; empty if the peer does not send it. */
  readonly slice: string;
  /** `protocol` undefined: not sent; the Service's port of the same name decides. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: Protocol | undefined }[];
  /** The scopes that the peer has selected it for; undefined if the peer sends facts, by which weir selects. */
  readonly scopes: EndpointScopes | undefined;
}

/** The addresses of one message, and its problems. */
export interface EndpointDecoding {
  readonly endpoints: readonly DecodedEndpoint[];
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Facts that the local stream does not send without extensions. */
const UNKNOWN_PLACE = { slice: 'kpng', ready: true, nodeName: '', hintZones: [] };

/** An endpoint of the local stream; `path` is NAMESPACE/SERVICE/KEY. */
export function decodeEndpoint(path: string, message: EndpointMessage): EndpointDecoding {
  const [namespace = '', serviceName = ''] = path.split('/');
  const { Internal, External } = message.Scopes ?? { Internal: true, External: true };
  const scopes = { local: message.Local, internal: Internal, external: External };
  const decoded = decodeAddresses(path, message, { namespace, serviceName, pod: '', ...UNKNOWN_PLACE });
  if (message.Facts !== null) return decoded;
  return { ...decoded, endpoints: decoded.endpoints.map((each) => ({ ...each, slice: '', scopes })) };
}

/** An endpoint of the global stream; `path` names it in error messages. */
export function decodeEndpointInfo(path: string, message: EndpointInfo): EndpointDecoding {
  const { Namespace, ServiceName, SourceName, PodName, Endpoint: endpoint, Conditions, Topology, Hints } = message;
  if (endpoint === null) return { endpoints: [], errors: [`Endpoint ${path}: Endpoint is missing, must be an endpoint`], warnings: [] };
  return decodeAddresses(path, endpoint, {
    ...{ namespace: Namespace, serviceName: ServiceName, slice: SourceName, pod: PodName === '' ? '' : `${Namespace}/${PodName}` },
    ...{ ready: Conditions?.Ready ?? true, nodeName: Topology?.Node ?? '', hintZones: Hints?.Zones ?? [] },
  });
}

/** Decodes the first address of each family: kube-proxy uses only that. */
function decodeAddresses(path: string, message: EndpointMessage, place: EndpointPlace): EndpointDecoding {
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
      return endpoints.map((endpoint) => ({ endpoint, family, slice: name, ports: named, scopes: undefined }));
    }),
  };
}

const hasProtocol = ({ PortOverrides }: EndpointMessage, name: string): boolean =>
  PortOverrides.some((override) => override.Name === name && override.Protocol !== 0);
