/** Decodes the value of one Set operation: a path and bytes become a validated model object, or the errors that say why not. */
import { decodeObject } from '#model/decode.ts';
import { show } from '#model/fields.ts';
import type { ModelObject } from '#model/objects.ts';
import type { DecodedService } from './assemble-slices.ts';
import { type DecodedEndpoint, decodeEndpoint, decodeEndpointInfo } from './decode-endpoint.ts';
import { nodeDocument, serviceCIDRDocument, serviceDocument } from './documents.ts';
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
export type NamespacedName = string;

/** A decoded object. An invalid object has no content, and `errors` say why; each is a whole sentence. */
export type DecodedValue =
  | {
      readonly type: 'service';
      readonly service: NamespacedName;
      readonly content: DecodedService | undefined;
      readonly problems: DecodeProblems;
    }
  | {
      readonly type: 'endpoint';
      readonly service: NamespacedName;
      readonly content: readonly DecodedEndpoint[] | undefined;
      readonly problems: DecodeProblems;
    }
  | { readonly type: 'object'; readonly content: ModelObject | undefined; readonly problems: DecodeProblems };

/** Errors and warnings about one object. */
export interface DecodeProblems {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

const NO_PROBLEMS: DecodeProblems = { errors: [], warnings: [] };

const errorsOnly = (...errors: readonly string[]): DecodeProblems => ({ errors, warnings: [] });

type Decoder = (path: string, bytes: Uint8Array) => DecodedValue;

/** By method of the stream and number of the set. */
const DECODERS: Readonly<Record<string, ReadonlyMap<number, Decoder>>> = {
  [METHODS.local]: new Map<number, Decoder>([
    [SETS.Services, (path, bytes) => decodeService(path, bytes, serviceCodec, (message) => message, localServicePath)],
    [SETS.Endpoints, decodeEndpointValue],
    [SETS.GlobalNodeInfos, decodeNode],
    [SETS.ServiceCIDRs, decodeServiceCIDR],
  ]),
  [METHODS.global]: new Map<number, Decoder>([
    [SETS.GlobalServiceInfos, (path, bytes) => decodeService(path, bytes, serviceInfoCodec, ({ Service }) => Service, globalPath)],
    [SETS.GlobalEndpointInfos, decodeEndpointInfoValue],
    [SETS.GlobalNodeInfos, decodeNode],
    [SETS.ServiceCIDRs, decodeServiceCIDR],
  ]),
};

/** Decodes the value of a set; undefined for a set that the stream `method` does not have. Never throws. */
export const decodeValue = (method: string, set: number, path: string, bytes: Uint8Array): DecodedValue | undefined =>
  DECODERS[method]?.get(set)?.(path, bytes);

const localServicePath = (namespace: string, name: string): string => `${namespace}/${name}`;

/** The message, or an error if the bytes are not such a message. */
function decodeMessage<T>(
  what: string,
  bytes: Uint8Array,
  codec: MessageCodec<T>,
): { readonly message: T } | { readonly problems: DecodeProblems } {
  try {
    return { message: codec.decode(bytes) };
  } catch (error) {
    return { problems: errorsOnly(`${what}: its bytes cannot be decoded: ${(error as Error).message}`) };
  }
}

function decodeService<T>(
  path: string,
  bytes: Uint8Array,
  codec: MessageCodec<T>,
  messageOf: (message: T) => ServiceMessage | null,
  pathOf: (namespace: string, name: string) => string,
): DecodedValue {
  const what = `Service ${path}`;
  const failed = (problems: DecodeProblems): DecodedValue => ({ type: 'service', service: path, content: undefined, problems });
  const decoded = decodeMessage(what, bytes, codec);
  if ('problems' in decoded) return failed(decoded.problems);
  const message = messageOf(decoded.message);
  if (message === null) return failed(errorsOnly(`${what}: Service is missing, must be a Service`));
  const described = pathOf(message.Namespace, message.Name);
  if (described !== path)
    return failed(errorsOnly(`${what}: its message describes ${show(described)}, must describe the Service of its path`));
  const document = serviceDocument(message);
  const key = `${message.Namespace}/${message.Name}`;
  if (!document.ok) return { type: 'service', service: key, content: undefined, problems: errorsOnly(...document.errors) };
  const { object, problems } = modelOf(document.value);
  const content = object?.kind === 'Service' ? { service: object.value, targets: message.Ports } : undefined;
  return { type: 'service', service: key, content, problems };
}

function modelOf(document: object): { readonly object: ModelObject | undefined; readonly problems: DecodeProblems } {
  const decoded = decodeObject(document);
  if (decoded.type === 'invalid') return { object: undefined, problems: errorsOnly(...decoded.errors) };
  if (decoded.type === 'ignored') return { object: undefined, problems: errorsOnly(decoded.reason) };
  return { object: decoded.object, problems: { errors: [], warnings: decoded.warnings } };
}

function decodeEndpointValue(path: string, bytes: Uint8Array): DecodedValue {
  const what = `Endpoint ${path}`;
  const [namespace = '', name = '', ...key] = path.split('/');
  const service = `${namespace}/${name}`;
  const failed = (problems: DecodeProblems): DecodedValue => ({ type: 'endpoint', service, content: undefined, problems });
  if (namespace === '' || name === '' || key.join('/') === '') return failed(errorsOnly(`${what}: its path must be NAMESPACE/SERVICE/KEY`));
  const decoded = decodeMessage(what, bytes, endpointCodec);
  if ('problems' in decoded) return failed(decoded.problems);
  return endpointValue(service, decodeEndpoint(path, decoded.message));
}

function decodeEndpointInfoValue(path: string, bytes: Uint8Array): DecodedValue {
  const decoded = decodeMessage(`Endpoint ${path}`, bytes, endpointInfoCodec);
  if ('problems' in decoded) return { type: 'endpoint', service: '', content: undefined, problems: decoded.problems };
  return endpointValue(`${decoded.message.Namespace}/${decoded.message.ServiceName}`, decodeEndpointInfo(path, decoded.message));
}

const endpointValue = (service: NamespacedName, { endpoints, errors, warnings }: ReturnType<typeof decodeEndpoint>): DecodedValue => ({
  ...{ type: 'endpoint', service, content: errors.length > 0 ? undefined : endpoints },
  problems: errors.length + warnings.length > 0 ? { errors, warnings } : NO_PROBLEMS,
});

function decodeNode(path: string, bytes: Uint8Array): DecodedValue {
  const decoded = decodeMessage(`Node ${path}`, bytes, nodeInfoCodec);
  if ('problems' in decoded) return { type: 'object', content: undefined, problems: decoded.problems };
  const { object, problems } = modelOf(nodeDocument(decoded.message.Node));
  return { type: 'object', content: object, problems };
}

function decodeServiceCIDR(path: string, bytes: Uint8Array): DecodedValue {
  const decoded = decodeMessage(`ServiceCIDR ${path}`, bytes, serviceCIDRCodec);
  if ('problems' in decoded) return { type: 'object', content: undefined, problems: decoded.problems };
  const { object, problems } = modelOf(serviceCIDRDocument(decoded.message));
  return { type: 'object', content: object, problems };
}
