import { decodeEndpointSlice } from './decode-endpoint-slice.ts';
import { decodeNode } from './decode-node.ts';
import { decodeService } from './decode-service.ts';
import { decodeServiceCIDR } from './decode-service-cidr.ts';
import { clip, type Fields, isAbsent, isFields, type LocatedFields, type ObjectReport, show } from './fields.ts';
import { keyOf } from './metadata.ts';
import type { ModelKind, ModelObject } from './objects.ts';

/** Result of decoding one Kubernetes object. */
export type Decoded =
  | { readonly type: 'object'; readonly object: ModelObject; readonly warnings: readonly string[] }
  /** weir does not read the kind or version; `reason` is a whole sentence. */
  | { readonly type: 'ignored'; readonly kind: string; readonly reason: string }
  /** Each of `errors` names the object, the field, its value and the valid values. `kind` and `key` are empty if unknown. */
  | { readonly type: 'invalid'; readonly kind: string; readonly key: string; readonly errors: readonly string[] };

const API_VERSIONS: Readonly<Record<ModelKind, string>> = {
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Node: 'v1',
  ServiceCIDR: 'networking.k8s.io/v1',
};

/** Errors of one object that are reported in full, and warnings; a slice has up to 1000 endpoints. */
const MAX_REPORTED = 8;

/** Maximum characters of kind, namespace and name together. */
const MAX_SUBJECT = 350;

/** Decodes one object of the API, parsed from JSON or YAML. Never throws. */
export function decodeObject(value: unknown): Decoded {
  if (!isFields(value)) return invalid('', '', [`Document is ${show(value)}, must be a Kubernetes object`]);
  const { kind, apiVersion } = value;
  if (typeof kind !== 'string' || kind === '') return invalid('', '', [`Object: kind is ${show(kind)}, must be a kind such as Service`]);
  const key = keyOf(kind, value);
  const subject = clip(key === '' ? kind : `${kind} ${key}`, MAX_SUBJECT);
  const reason = reasonToIgnore(kind, apiVersion, value);
  if (reason !== undefined) return { type: 'ignored', kind, reason: `${subject} is ignored: ${reason}` };
  const report: ObjectReport = { subject, errors: [], warnings: [] };
  const object = decodeKind(kind as ModelKind, key, { report, path: '', fields: value });
  if (report.errors.length > 0) return invalid(kind, key, report.errors);
  return { type: 'object', object, warnings: first(report.warnings, 'warnings') };
}

/**
 * The objects of a document: the items of a List, ServiceList and so on, else the document itself. Items of a ServiceList from the
 * API have no kind; they get the kind of the list. An empty document has no objects.
 */
export function* flattenLists(value: unknown): Iterable<unknown> {
  if (isAbsent(value)) return;
  const list = asList(value);
  if (list === undefined) {
    yield value;
    return;
  }
  for (const item of list.items) {
    const needsKind = list.itemKind !== '' && isFields(item) && isAbsent(item.kind);
    yield* flattenLists(needsKind ? { ...item, kind: list.itemKind, apiVersion: list.apiVersion } : item);
  }
}

function asList(value: unknown): { itemKind: string; apiVersion: unknown; items: readonly unknown[] } | undefined {
  if (!isFields(value) || typeof value.kind !== 'string' || !value.kind.endsWith('List')) return undefined;
  if (value.items !== null && !Array.isArray(value.items)) return undefined;
  return { itemKind: value.kind.slice(0, -'List'.length), apiVersion: value.apiVersion, items: value.items ?? [] };
}

const invalid = (kind: string, key: string, errors: readonly string[]): Decoded => ({
  type: 'invalid',
  kind,
  key,
  errors: first(errors, 'errors'),
});

const first = (messages: readonly string[], what: string): readonly string[] =>
  messages.length <= MAX_REPORTED
    ? messages
    : [...messages.slice(0, MAX_REPORTED), `... and ${messages.length - MAX_REPORTED} more ${what}`];

function reasonToIgnore(kind: string, apiVersion: unknown, object: Fields): string | undefined {
  if (!Object.hasOwn(API_VERSIONS, kind)) return 'weir reads Services, EndpointSlices, Nodes and ServiceCIDRs';
  const expected = API_VERSIONS[kind as ModelKind];
  if (apiVersion !== expected) return `its apiVersion is ${show(apiVersion)}, weir reads ${expected}`;
  if (kind === 'EndpointSlice' && object.addressType === 'FQDN') return 'its addressType is FQDN, weir reads IPv4 and IPv6';
  return undefined;
}

function decodeKind(kind: ModelKind, key: string, place: LocatedFields): ModelObject {
  if (kind === 'Service') return { kind, key, value: decodeService(place) };
  if (kind === 'EndpointSlice') return { kind, key, value: decodeEndpointSlice(place) };
  if (kind === 'Node') return { kind, key, value: decodeNode(place) };
  return { kind, key, value: decodeServiceCIDR(place) };
}
