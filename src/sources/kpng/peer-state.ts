/** Applies change sets: compares the state of a peer with what the sink has, and delivers the difference as model objects. */
import { isDeepStrictEqual } from 'node:util';
import { assembleSlices, type DecodedService } from '#kpng/assemble-slices.ts';
import type { DecodedValue, NamespacedName } from '#kpng/decode.ts';
import type { DecodedEndpoint } from '#kpng/decode-endpoint.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { ActiveProblems } from '../active-problems.ts';
import type { Missing } from '../doubtful-list.ts';
import type { Sink } from '../source.ts';
import type { ChangeSet } from './change-set.ts';

type DecodedEndpointValue = Extract<DecodedValue, { readonly type: 'endpoint' }>;

export interface PeerStateParts {
  readonly sink: Sink;
  readonly problems: ActiveProblems;
  /** The node that follows the stream; empty in the global stream. */
  readonly nodeName: string;
  /** Reports protocol errors of the peer; equal `what` means the same kind of error. */
  readonly mistake: (what: string, message: string) => void;
}

/** The state of a peer, kept over all connections, and the objects that the sink has of it. */
export class PeerState {
  readonly #parts: PeerStateParts;
  /** Last good version of each object, by set and path. */
  readonly #known = new Map<string, DecodedValue>();
  readonly #endpointsOf = new Map<NamespacedName, Set<string>>();
  readonly #services = new Map<NamespacedName, DecodedService>();
  readonly #slicesOf = new Map<NamespacedName, ReadonlyMap<string, EndpointSlice>>();
  /** Service of each slice, by the slice's key: a slice may move to another Service. */
  readonly #ownerOf = new Map<string, NamespacedName>();
  /** Objects that the last full state lacked and that are not removed yet. */
  #unseen = new Set<string>();
  /** Services whose slices the current change set affects, and the time of the event behind it, ms since 1970. */
  readonly #touched = new Map<NamespacedName, number>();

  constructor(parts: PeerStateParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Applies a change set; `deliver` completes it. Returns how many known objects a full state lacks. */
  apply(changes: ChangeSet): Missing {
    const before = this.#known.size;
    if (changes.isFull) this.#unseen = new Set([...this.#known.keys()].filter((id) => !changes.staged.has(id)));
    for (const [id, { value, triggeredAt }] of changes.staged) {
      this.#unseen.delete(id);
      if (value === undefined) this.#remove(id, triggeredAt);
      else this.#put(id, value, triggeredAt);
    }
    return { missing: this.#unseen.size, before };
  }

  /** Delivers slices. `removesMissing`: also removes the objects that the last full state lacked. */
  deliver(removesMissing: boolean): void {
    if (removesMissing) {
      for (const id of this.#unseen) this.#remove(id, 0);
      this.#unseen.clear();
    }
    this.#deliverSlices();
  }

  #put(id: string, value: DecodedValue, triggeredAt: number): void {
    const before = this.#known.get(id);
    this.#reportProblems(id, value, before !== undefined);
    if (value.content === undefined) return;
    if (before !== undefined && before.type === 'endpoint') this.#unlink(id, before.service, triggeredAt);
    this.#known.set(id, value);
    if (value.type === 'object') {
      if (!isDeepStrictEqual(before?.content, value.content)) this.#parts.sink.set(value.content);
      return;
    }
    this.#touch(value.service, triggeredAt);
    if (value.type === 'endpoint') {
      const group = this.#endpointsOf.get(value.service) ?? new Set();
      const [sibling] = group;
      if (sibling !== undefined) this.#known.set(id, sharing(value, this.#known.get(sibling)));
      this.#endpointsOf.set(value.service, group.add(id));
      return;
    }
    const { service } = value.content;
    if (!isDeepStrictEqual(this.#services.get(value.service)?.service, service))
      this.#parts.sink.set({ kind: 'Service', key: value.service, value: service });
    this.#services.set(value.service, value.content);
  }

  #remove(id: string, triggeredAt: number): void {
    const before = this.#known.get(id);
    this.#parts.problems.replace(id, []);
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

  #unlink(id: string, service: NamespacedName, triggeredAt: number): void {
    const group = this.#endpointsOf.get(service);
    group?.delete(id);
    if (group?.size === 0) this.#endpointsOf.delete(service);
    this.#touch(service, triggeredAt);
  }

  #touch(service: NamespacedName, triggeredAt: number): void {
    this.#touched.set(service, Math.max(triggeredAt, this.#touched.get(service) ?? 0));
  }

  /** Delivers the slices of all touched Services. */
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

  #assemble(key: NamespacedName): readonly EndpointSlice[] {
    const [namespace = '', name = ''] = key.split('/');
    const ids = [...(this.#endpointsOf.get(key) ?? [])].sort();
    const service = this.#services.get(key);
    const message = `${ids.length} endpoints of Service ${key} have arrived without their Service, for example ${describe(ids[0] ?? '')}`;
    this.#parts.problems.replace(
      `orphans ${key}`,
      service === undefined && ids.length > 0 ? [{ id: 'orphans', reason: 'no_service', message }] : [],
    );
    const endpoints = ids.flatMap((id) => this.#known.get(id)?.content as readonly DecodedEndpoint[]);
    return assembleSlices({ namespace, name, service, endpoints, nodeName: this.#parts.nodeName });
  }

  #reportProblems(id: string, { content, problems: { errors, warnings } }: DecodedValue, isKnown: boolean): void {
    const effect = isKnown ? 'its last good version stays in force' : 'it is left out';
    const messages = content === undefined ? [`${errors.join('; ')}; ${effect}`] : warnings;
    const reason = content === undefined ? 'invalid_object' : 'object_warning';
    this.#parts.problems.replace(
      id,
      messages.map((message) => ({ id: message, reason, message })),
    );
  }
}

const describe = (id: string): string => id.slice(id.indexOf(' ') + 1);

/** The value, sharing equal strings and ports with another endpoint of its Service: saves memory, as there are many endpoints. */
function sharing(value: DecodedEndpointValue, sibling: DecodedValue | undefined): DecodedEndpointValue {
  const [like] = sibling?.type === 'endpoint' ? (sibling.content ?? []) : [];
  if (like === undefined || sibling?.type !== 'endpoint') return value;
  const content = value.content?.map((each) => ({
    ...each,
    slice: each.slice === like.slice ? like.slice : each.slice,
    ports: isDeepStrictEqual(each.ports, like.ports) ? like.ports : each.ports,
  }));
  return { ...value, service: sibling.service, content };
}
