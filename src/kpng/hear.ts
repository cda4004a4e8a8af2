import { decodeObject } from '#model/decode.ts';
import { show } from '#model/fields.ts';
import type { ModelObject } from '#model/objects.ts';
import type { HeardService } from './assemble-slices.ts';
import { nodeDocument, serviceCIDRDocument, serviceDocument } from './documents.ts';
import { type HeardEndpoint, hearEndpoint, hearEndpointInfo } from './hear-endpoint.ts';
import {
  endpointCodec,
  endpointInfoCodec,
  type MessageCodec,
  nodeInfoCodec,
  type ServiceMessage,
  serviceCIDRCodec,
  serviceCodec,
  serviceInfoCodec,
} from './messages.ts';
import { globalPath, METHODS, SETS } from './sets.ts';

/** Key of a Service, `namespace/name`. */
export type ServiceKey = string;

/** An object as a peer describes it. Where it is not valid there is no content, and `errors` say why; each is a whole sentence. */
export type Hearing =
  | { readonly type: 'service'; readonly service: ServiceKey; readonly content: HeardService | undefined; readonly said: Said }
  | { readonly type: 'endpoint'; readonly service: ServiceKey; readonly content: readonly HeardEndpoint[] | undefined; readonly said: Said }
  | { readonly type: 'object'; readonly content: ModelObject | undefined; readonly said: Said };

/** What is wrong with an object. */
export interface Said {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

const FINE: Said = { errors: [], warnings: [] };

const wrong = (...errors: readonly string[]): Said => ({ errors, warnings: [] });

type Reader = (path: string, bytes: Uint8Array) => Hearing;

/** By stream and number of the set. */
const READERS: Readonly<Record<string, ReadonlyMap<number, Reader>>> = {
  [METHODS.local]: new Map<number, Reader>([
    [SETS.Services, (path, bytes) => readService(path, bytes, serviceCodec, (message) => message, localServicePath)],
    [SETS.Endpoints, readEndpoint],
    [SETS.GlobalNodeInfos, readNode],
    [SETS.ServiceCIDRs, readServiceCIDR],
  ]),
  [METHODS.global]: new Map<number, Reader>([
    [SETS.GlobalServiceInfos, (path, bytes) => readService(path, bytes, serviceInfoCodec, ({ Service }) => Service, globalPath)],
    [SETS.GlobalEndpointInfos, readEndpointInfo],
    [SETS.GlobalNodeInfos, readNode],
    [SETS.ServiceCIDRs, readServiceCIDR],
  ]),
};

/** Reads the value of a set; undefined for a set that the stream `method` does not have. Never throws. */
export const hear = (method: string, set: number, path: string, bytes: Uint8Array): Hearing | undefined =>
  READERS[method]?.get(set)?.(path, bytes);

const localServicePath = (namespace: string, name: string): string => `${namespace}/${name}`;

/** Errors where the bytes are no such message. */
function decode<T>(what: string, bytes: Uint8Array, codec: MessageCodec<T>): { readonly message: T } | { readonly said: Said } {
  try {
    return { message: codec.decode(bytes) };
  } catch (error) {
    return { said: wrong(`${what}: its bytes cannot be decoded: ${(error as Error).message}`) };
  }
}

function readService<T>(
  path: string,
  bytes: Uint8Array,
  codec: MessageCodec<T>,
  messageOf: (message: T) => ServiceMessage | null,
  pathOf: (namespace: string, name: string) => string,
): Hearing {
  const what = `Service ${path}`;
  const failed = (said: Said): Hearing => ({ type: 'service', service: path, content: undefined, said });
  const decoded = decode(what, bytes, codec);
  if ('said' in decoded) return failed(decoded.said);
  const message = messageOf(decoded.message);
  if (message === null) return failed(wrong(`${what}: Service is missing, must be a Service`));
  const due = pathOf(message.Namespace, message.Name);
  if (due !== path) return failed(wrong(`${what}: its message is that of ${show(due)}, must be of the same name as its path`));
  const document = serviceDocument(message);
  const key = `${message.Namespace}/${message.Name}`;
  if (!document.ok) return { type: 'service', service: key, content: undefined, said: wrong(...document.errors) };
  const { object, said } = modelOf(document.value);
  const content = object?.kind === 'Service' ? { service: object.value, targets: message.Ports } : undefined;
  return { type: 'service', service: key, content, said };
}

function modelOf(document: object): { readonly object: ModelObject | undefined; readonly said: Said } {
  const decoded = decodeObject(document);
  if (decoded.type === 'invalid') return { object: undefined, said: wrong(...decoded.errors) };
  if (decoded.type === 'ignored') return { object: undefined, said: wrong(decoded.reason) };
  return { object: decoded.object, said: { errors: [], warnings: decoded.warnings } };
}

function readEndpoint(path: string, bytes: Uint8Array): Hearing {
  const what = `Endpoint ${path}`;
  const [namespace = '', name = '', ...key] = path.split('/');
  const service = `${namespace}/${name}`;
  const failed = (said: Said): Hearing => ({ type: 'endpoint', service, content: undefined, said });
  if (namespace === '' || name === '' || key.join('/') === '') return failed(wrong(`${what}: its path must be NAMESPACE/SERVICE/KEY`));
  const decoded = decode(what, bytes, endpointCodec);
  if ('said' in decoded) return failed(decoded.said);
  return heardAs(service, hearEndpoint(path, decoded.message));
}

function readEndpointInfo(path: string, bytes: Uint8Array): Hearing {
  const decoded = decode(`Endpoint ${path}`, bytes, endpointInfoCodec);
  if ('said' in decoded) return { type: 'endpoint', service: '', content: undefined, said: decoded.said };
  return heardAs(`${decoded.message.Namespace}/${decoded.message.ServiceName}`, hearEndpointInfo(path, decoded.message));
}

const heardAs = (service: ServiceKey, { endpoints, errors, warnings }: ReturnType<typeof hearEndpoint>): Hearing => ({
  ...{ type: 'endpoint', service, content: errors.length > 0 ? undefined : endpoints },
  said: errors.length + warnings.length > 0 ? { errors, warnings } : FINE,
});

function readNode(path: string, bytes: Uint8Array): Hearing {
  const decoded = decode(`Node ${path}`, bytes, nodeInfoCodec);
  if ('said' in decoded) return { type: 'object', content: undefined, said: decoded.said };
  const { object, said } = modelOf(nodeDocument(decoded.message.Node));
  return { type: 'object', content: object, said };
}

function readServiceCIDR(path: string, bytes: Uint8Array): Hearing {
  const decoded = decode(`ServiceCIDR ${path}`, bytes, serviceCIDRCodec);
  if ('said' in decoded) return { type: 'object', content: undefined, said: decoded.said };
  const { object, said } = modelOf(serviceCIDRDocument(decoded.message));
  return { type: 'object', content: object, said };
}
