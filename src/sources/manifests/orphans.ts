import type { ModelObject } from '#model/objects.ts';
import type { IdentifiedProblem } from '../active-problems.ts';

/** Watches for EndpointSlices that no Service uses. They are kept: the Service may come. */
export interface Orphans {
  set(object: ModelObject): void;
  remove(object: ModelObject): void;
  /** Reports orphans among the objects touched since the last check. */
  check(): void;
}

/** `tell` gets all that is wrong with one slice. */
export function createOrphans(tell: (slice: string, findings: readonly IdentifiedProblem[]) => void): Orphans {
  const services = new Set<string>();
  /** Service key by slice key; empty for a slice without the label. */
  const serviceOf = new Map<string, string>();
  const slicesOf = new Map<string, Set<string>>();
  const touched = new Set<string>();

  const unlink = (slice: string): void => {
    const service = serviceOf.get(slice);
    if (service === undefined) return;
    serviceOf.delete(slice);
    const slices = slicesOf.get(service);
    slices?.delete(slice);
    if (slices?.size === 0) slicesOf.delete(service);
  };
  const link = (slice: string, service: string): void => {
    unlink(slice);
    serviceOf.set(slice, service);
    slicesOf.set(service, (slicesOf.get(service) ?? new Set()).add(slice));
  };
  const touchSlicesOf = (service: string): void => {
    for (const slice of slicesOf.get(service) ?? []) touched.add(slice);
  };
  return {
    set(object) {
      if (object.kind === 'Service') {
        if (!services.has(object.key)) touchSlicesOf(object.key);
        services.add(object.key);
      } else if (object.kind === 'EndpointSlice') {
        const { namespace, serviceName } = object.value;
        link(object.key, serviceName === '' ? '' : `${namespace}/${serviceName}`);
        touched.add(object.key);
      }
    },
    remove(object) {
      if (object.kind === 'Service' && services.delete(object.key)) touchSlicesOf(object.key);
      if (object.kind === 'EndpointSlice') {
        unlink(object.key);
        touched.add(object.key);
      }
    },
    check() {
      for (const slice of touched) tell(slice, findingsOf(slice, serviceOf.get(slice), services));
      touched.clear();
    },
  };
}

function findingsOf(slice: string, service: string | undefined, services: ReadonlySet<string>): readonly IdentifiedProblem[] {
  if (service === undefined || services.has(service)) return [];
  const message =
    service === ''
      ? `EndpointSlice ${slice} has no label kubernetes.io/service-name, so it belongs to no Service`
      : `EndpointSlice ${slice} belongs to Service ${service}, which does not exist`;
  return [{ id: message, reason: 'no_service', message }];
}
