import { isDeepStrictEqual } from 'node:util';
import { assembleSlices, type HeardService } from '#kpng/assemble-slices.ts';
import type { Hearing, ServiceKey } from '#kpng/hear.ts';
import type { HeardEndpoint } from '#kpng/hear-endpoint.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Missing } from '../doubt.ts';
import type { Sink } from '../source.ts';
import type { Standing } from '../standing.ts';
import type { ChangeSet } from './change-set.ts';

type EndpointHearing = Extract<Hearing, { readonly type: 'endpoint' }>;

export interface PeerStateParts {
  readonly sink: Sink;
  readonly standing: Standing;
  /** This node; empty in the global stream. */
  readonly nodeName: string;
  /** Told of what a peer should not do; `what` is what makes two the same. */
  readonly mistake: (what: string, message: string) => void;
}

/** Everything that a peer has said, over all connections, and what the sink has of it. */
export class PeerState {
  readonly #parts: PeerStateParts;
  /** Last good version by set and path. */
  readonly #known = new Map<string, Hearing>();
  readonly #endpointsOf = new Map<ServiceKey, Set<string>>();
  readonly #services = new Map<ServiceKey, HeardService>();
  readonly #slicesOf = new Map<ServiceKey, ReadonlyMap<string, EndpointSlice>>();
  /** Whose a slice is, by its key: slices change hands. */
  readonly #ownerOf = new Map<string, ServiceKey>();
  /** What the last whole set lacked and was not removed. */
  #unseen = new Set<string>();
  /** Of the change set that is applied: Services to look at, and what led to that, ms since 1970. */
  readonly #touched = new Map<ServiceKey, number>();

  constructor(parts: PeerStateParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Takes a change set; the sink gets what follows from it with `deliver`. How much a whole set lacks of what was there. */
  apply(changes: ChangeSet): Missing {
    const before = this.#known.size;
    if (changes.isWhole) this.#unseen = new Set([...this.#known.keys()].filter((id) => !changes.staged.has(id)));
    for (const [id, { hearing, triggeredAt }] of changes.staged) {
      this.#unseen.delete(id);
      if (hearing === undefined) this.#remove(id, triggeredAt);
      else this.#put(id, hearing, triggeredAt);
    }
    return { missing: this.#unseen.size, before };
  }

  /** `removesMissing`: what the last whole set lacked is gone. */
  deliver(removesMissing: boolean): void {
    if (removesMissing) {
      for (const id of this.#unseen) this.#remove(id, 0);
      this.#unseen.clear();
    }
    this.#deliverSlices();
  }

  #put(id: string, hearing: Hearing, triggeredAt: number): void {
    const before = this.#known.get(id);
    this.#say(id, hearing, before !== undefined);
    if (hearing.content === undefined) return;
    if (before !== undefined && before.type === 'endpoint') this.#unlink(id, before.service, triggeredAt);
    this.#known.set(id, hearing);
    if (hearing.type === 'object') {
      if (!isDeepStrictEqual(before?.content, hearing.content)) this.#parts.sink.set(hearing.content);
      return;
    }
    this.#touch(hearing.service, triggeredAt);
    if (hearing.type === 'endpoint') {
      const group = this.#endpointsOf.get(hearing.service) ?? new Set();
      const [sibling] = group;
      if (sibling !== undefined) this.#known.set(id, sharing(hearing, this.#known.get(sibling)));
      this.#endpointsOf.set(hearing.service, group.add(id));
      return;
    }
    const { service } = hearing.content;
    if (!isDeepStrictEqual(this.#services.get(hearing.service)?.service, service))
      this.#parts.sink.set({ kind: 'Service', key: hearing.service, value: service });
    this.#services.set(hearing.service, hearing.content);
  }

  #remove(id: string, triggeredAt: number): void {
    const before = this.#known.get(id);
    this.#parts.standing.replace(id, []);
    if (before === undefined) {
      this.#parts.mistake('delete', `deletes ${describe(id)}, which it never set`);
      return;
    }
    this.#known.delete(id);
    if (before.type === 'endpoint') this.#unlink(id, before.service, triggeredAt);
    else if (before.type === 'service') {
      this.#services.delete(before.service);
      this.#touch(before.service, triggeredAt);
      this.#parts.sink.remove('Service', before.service);
    } else if (before.content !== undefined) this.#parts.sink.remove(before.content.kind, before.content.key);
  }

  #unlink(id: string, service: ServiceKey, triggeredAt: number): void {
    const group = this.#endpointsOf.get(service);
    group?.delete(id);
    if (group?.size === 0) this.#endpointsOf.delete(service);
    this.#touch(service, triggeredAt);
  }

  #touch(service: ServiceKey, triggeredAt: number): void {
    this.#touched.set(service, Math.max(triggeredAt, this.#touched.get(service) ?? 0));
  }

  /** Slices of all Services that were touched. */
  #deliverSlices(): void {
    for (const [key, triggeredAt] of this.#touched) {
      const before = this.#slicesOf.get(key) ?? new Map<string, EndpointSlice>();
      const now = new Map(this.#assemble(key).map((slice) => [slice.name, slice]));
      for (const [name, slice] of now) {
        const old = before.get(name);
        const sliceKey = `${slice.namespace}/${name}`;
        const isSame = old !== undefined && this.#ownerOf.get(sliceKey) === key && isDeepStrictEqual(old, slice);
        if (isSame) now.set(name, old);
        else this.#parts.sink.set({ kind: 'EndpointSlice', key: sliceKey, value: { ...slice, triggeredAt } });
        this.#ownerOf.set(sliceKey, key);
      }
      for (const [name, { namespace }] of before) {
        const sliceKey = `${namespace}/${name}`;
        if (now.has(name) || this.#ownerOf.get(sliceKey) !== key) continue;
        this.#ownerOf.delete(sliceKey);
        this.#parts.sink.remove('EndpointSlice', sliceKey);
      }
      if (now.size > 0) this.#slicesOf.set(key, now);
      else this.#slicesOf.delete(key);
    }
    this.#touched.clear();
  }

  #assemble(key: ServiceKey): readonly EndpointSlice[] {
    const [namespace = '', name = ''] = key.split('/');
    const ids = [...(this.#endpointsOf.get(key) ?? [])].sort();
    const heard = this.#services.get(key);
    const message = `${ids.length} endpoints of Service ${key} have come without their Service, for example ${describe(ids[0] ?? '')}`;
    this.#parts.standing.replace(
      `orphans ${key}`,
      heard === undefined && ids.length > 0 ? [{ id: 'orphans', reason: 'no_service', message }] : [],
    );
    const endpoints = ids.flatMap((id) => this.#known.get(id)?.content as readonly HeardEndpoint[]);
    return assembleSlices({ namespace, name, heard, endpoints, nodeName: this.#parts.nodeName });
  }

  #say(id: string, { content, said: { errors, warnings } }: Hearing, isKnown: boolean): void {
    const effect = isKnown ? 'its last good version stays in force' : 'it is left out';
    const messages = content === undefined ? [`${errors.join('; ')}; ${effect}`] : warnings;
    const reason = content === undefined ? 'invalid_object' : 'object_warning';
    this.#parts.standing.replace(
      id,
      messages.map((message) => ({ id: message, reason, message })),
    );
  }
}

const describe = (id: string): string => id.slice(id.indexOf(' ') + 1);

/** The same with what it has in common with another endpoint of the Service, for there are many: names and ports. */
function sharing(hearing: EndpointHearing, sibling: Hearing | undefined): EndpointHearing {
  const [like] = sibling?.type === 'endpoint' ? (sibling.content ?? []) : [];
  if (like === undefined || sibling?.type !== 'endpoint') return hearing;
  const content = hearing.content?.map((each) => ({
    ...each,
    slice: each.slice === like.slice ? like.slice : each.slice,
    ports: isDeepStrictEqual(each.ports, like.ports) ? like.ports : each.ports,
  }));
  return { ...hearing, service: sibling.service, content };
}
