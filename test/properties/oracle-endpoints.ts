import { type Address, type Family, parseAddress } from '#lib/address.ts';
import type { Cluster } from './oracle.ts';
import type { EndpointObject, ServiceObject } from './oracle-objects.ts';

/** An endpoint of a Service port. */
export interface Listed {
  readonly address: Address;
  readonly port: number;
  readonly object: EndpointObject;
}

type Port = NonNullable<ServiceObject['spec']['ports']>[number];

/** The endpoints for policy Cluster and for policy Local on the node `by`. Sections 1 "Endpoints and slices" and 2 of the rules. */
export function endpointsFor(
  cluster: Cluster,
  service: ServiceObject,
  port: Port,
  { family, by }: { readonly family: Family; readonly by: string },
): { readonly cluster: readonly Listed[]; readonly local: readonly Listed[] } {
  const all = listed(cluster, service, port, family);
  const zone = cluster.nodes.find(({ metadata }) => metadata.name === by)?.metadata.labels?.['topology.kubernetes.io/zone'] ?? '';
  const ready = all.filter(({ object }) => isReady(object)); // [unready]
  const leaving = all.filter(({ object }) => isLeaving(object));
  const isHere = ({ object }: Listed): boolean => object.nodeName === by; // [slice-by-hand]
  const local = ready.some(isHere) ? ready.filter(isHere) : leaving.filter(isHere); // [terminating-local] [hints-cluster-list]
  if (ready.length === 0) return { cluster: leaving, local }; // [terminating-cluster]
  const forNode = hinted(ready, 'forNodes', by); // [hints-node]
  const forZone = hinted(ready, 'forZones', zone); // [hints-zone]
  return { cluster: forNode ?? forZone ?? ready, local };
}

/** [ready-nil] [publish-not-ready] */
const isReady = ({ conditions }: EndpointObject): boolean => conditions?.ready ?? true;
const isServing = ({ conditions }: EndpointObject): boolean => conditions?.serving ?? true;
const isTerminating = ({ conditions }: EndpointObject): boolean => conditions?.terminating ?? false;
const isLeaving = (object: EndpointObject): boolean => !isReady(object) && isServing(object) && isTerminating(object);

/** [hints-all-or-nothing] [hints-ready-only] */
function hinted(ready: readonly Listed[], kind: 'forNodes' | 'forZones', place: string): readonly Listed[] | undefined {
  const names = ({ object }: Listed): readonly string[] => (object.hints?.[kind] ?? []).map(({ name }) => name);
  if (place === '' || ready.some((one) => names(one).length === 0)) return undefined;
  const meant = ready.filter((one) => names(one).includes(place));
  return meant.length > 0 ? meant : undefined;
}

/** [headless-label] [foreign-proxy] */
export const isLeftToOthers = ({ labels = {} }: { readonly labels?: object }): boolean =>
  'service.kubernetes.io/headless' in labels || 'service.kubernetes.io/service-proxy-name' in labels;

/** [dual-stack] [slice-own-ports] [slice-twins] [headless-label] [foreign-proxy] [named-target-port] */
function listed({ slices }: Cluster, { metadata }: ServiceObject, port: Port, family: Family): readonly Listed[] {
  const own = slices
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .filter(
      (slice) =>
        slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name &&
        slice.metadata.namespace === metadata.namespace &&
        slice.addressType === `IPv${family}` &&
        !isLeftToOthers(slice.metadata),
    );
  const all = own.flatMap((slice) =>
    slice.ports
      .filter((one) => (one.name ?? '') === (port.name ?? '') && (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))
      .flatMap((one) =>
        slice.endpoints.map((object) => ({ address: parseAddress(object.addresses[0] ?? '') as Address, port: one.port ?? 0, object })),
      ),
  );
  const rank = ({ object }: Listed): number => (isTerminating(object) ? 0 : 4) + (isReady(object) ? 2 : 0) + (isServing(object) ? 1 : 0);
  return all.filter((one, i) => {
    const twins = all.filter((other) => other.address === one.address && other.port === one.port);
    const best = Math.max(...twins.map(rank));
    return rank(one) === best && all.findIndex((other) => twins.includes(other) && rank(other) === best) === i;
  });
}
