import { child, type Fields, isFields, type LocatedFields, text, wrong } from './fields.ts';
import type { ModelKind } from './objects.ts';

export interface Metadata {
  /** Empty for a Node or ServiceCIDR. */
  readonly namespace: string;
  readonly name: string;
  /** creationTimestamp, RFC 3339; empty if absent. */
  readonly createdAt: string;
  readonly labels: LocatedFields;
}

const LEFT_TO_OTHERS = ['service.kubernetes.io/headless', 'service.kubernetes.io/service-proxy-name'];

/**
 * Whether a label leaves a Service or slice to another proxy, whatever the value of the label: kube-proxy selects with DoesNotExist. The API
 * source selects with the same labels (sources/api/resources.ts).
 */
export const isLeftToOthers = ({ labels }: Metadata): boolean => LEFT_TO_OTHERS.some((label) => labels.fields[label] !== undefined);

/** RFC 1123 label: names of namespaces, Services and their ports. */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** RFC 1123 subdomain: names of other objects. */
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Whether a name is a valid RFC 1123 subdomain, as names of Nodes must be. */
export const isSubdomain = (name: string): boolean => name.length <= 253 && DNS_SUBDOMAIN.test(name);

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Namespace of an object without one, as in kubectl apply. */
const DEFAULT_NAMESPACE = 'default';

/** Kinds without a namespace. */
const isClusterWide = (kind: string): boolean => kind === 'Node' || kind === 'ServiceCIDR';

/** `namespace/name`, for a Node or ServiceCIDR its name; empty for an object without a name. Never fails. */
export function keyOf(kind: string, object: Fields): string {
  const metadata = isFields(object.metadata) ? object.metadata : {};
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return '';
  if (isClusterWide(kind)) return name;
  return `${typeof namespace === 'string' && namespace !== '' ? namespace : DEFAULT_NAMESPACE}/${name}`;
}

/** Checks names as the API does; errors go into the report of `object`. */
export function readMetadata(object: LocatedFields, kind: ModelKind): Metadata {
  const place = child(object, 'metadata');
  const name = text(place, 'name');
  const isLabel = kind === 'Service';
  if (!(isLabel ? DNS_LABEL.test(name) : isSubdomain(name))) {
    wrong(place, 'name', name === '' ? undefined : name, isLabel ? 'a DNS label of at most 63 characters' : 'a DNS subdomain');
  }
  const namespace = isClusterWide(kind) ? '' : text(place, 'namespace') || DEFAULT_NAMESPACE;
  if (!isClusterWide(kind) && !DNS_LABEL.test(namespace)) wrong(place, 'namespace', namespace, 'a DNS label of at most 63 characters');
  return { namespace, name, createdAt: readTime(place, 'creationTimestamp'), labels: child(place, 'labels') };
}

function readTime(place: LocatedFields, key: string): string {
  const value = text(place, key);
  if (value === '' || (RFC3339.test(value) && !Number.isNaN(Date.parse(value)))) return value;
  wrong(place, key, value, 'a time such as 2026-01-31T12:00:00Z');
  return '';
}
