/** An endpoint with its encoded operations, which all clients and successive items share. */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { endpointCodec, endpointInfoCodec } from '#kpng/messages.ts';
import { setOperation } from '#kpng/operations.ts';
import { globalPath, SETS } from '#kpng/sets.ts';
import { type EndpointScopes, endpointInfo, endpointMessage } from '#kpng/to-messages.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import { slabFrame } from './frame-slab.ts';
import type { Operation } from './item-view.ts';

/** An endpoint of a Service and its encoded operations: one for the global stream, one per combination of scopes for the local stream. */
export class EndpointEntry {
  readonly endpoint: Endpoint;
  readonly slice: EndpointSlice;
  /** Last part of the path, unique in the Service. */
  readonly key: string;
  /** Usually one or two. */
  #variants: readonly (Operation & { readonly variant: number })[] = [];
  #global: Operation | undefined;

  constructor(endpoint: Endpoint, slice: EndpointSlice, key: string) {
    this.endpoint = endpoint;
    this.slice = slice;
    this.key = key;
  }

  equals({ endpoint, slice }: EndpointEntry): boolean {
    return (
      (endpoint === this.endpoint || isDeepStrictEqual(endpoint, this.endpoint)) &&
      slice.name === this.slice.name &&
      (slice.ports === this.slice.ports || isDeepStrictEqual(slice.ports, this.slice.ports))
    );
  }

  /** The operation of the local stream. */
  operation(scopes: EndpointScopes): Operation {
    const variant = Number(scopes.local) + 2 * Number(scopes.internal) + 4 * Number(scopes.external);
    const known = this.#variants.find((each) => each.variant === variant);
    if (known !== undefined) return known;
    const made = { ...this.#encode(scopes), variant };
    this.#variants = [...this.#variants, made];
    return made;
  }

  /** The operation of the global stream. */
  globalOperation(): Operation {
    this.#global ??= this.#encodeGlobal();
    return this.#global;
  }

  #encode(scopes: EndpointScopes): Operation {
    const { namespace, serviceName } = this.slice;
    const path = `${namespace}/${serviceName}/${this.key}`;
    const bytes = endpointCodec.encode(endpointMessage(this.endpoint, this.slice, scopes));
    return { set: SETS.Endpoints, path, framed: slabFrame(setOperation(SETS.Endpoints, path, bytes)) };
  }

  #encodeGlobal(): Operation {
    const { namespace, serviceName, name } = this.slice;
    const path = globalPath(namespace, serviceName, name, this.key);
    const info = endpointInfo(this.endpoint, this.slice);
    const bytes = endpointInfoCodec.encode({ ...info, Hash: hashOf(endpointInfoCodec.encode(info)) });
    return { set: SETS.GlobalEndpointInfos, path, framed: slabFrame(setOperation(SETS.GlobalEndpointInfos, path, bytes)) };
  }
}

/** Hash for old peers, which compare objects of one path by it: 48 bits, exact as a JavaScript number. */
export const hashOf = (bytes: Uint8Array): number => Number.parseInt(hash('sha1', bytes).slice(0, 12), 16);

/**
 * Entries of all endpoints of a Service; unchanged endpoints keep their entry of `before`. A key is the pod's name, as in KPNG, or a hash
 * for an endpoint without a pod. If several slices hold a pod, as for dual-stack pods, the key of the later ones includes the slice's name.
 */
export function entriesOf(slices: readonly EndpointSlice[], before: readonly EndpointEntry[]): readonly EndpointEntry[] {
  const old = new Map(before.map((entry) => [entry.key, entry]));
  const used = new Set<string>();
  return slices.flatMap((slice) =>
    slice.endpoints.map((endpoint) => {
      const key = uniqueKey(endpoint, slice, used);
      used.add(key);
      const entry = new EndpointEntry(endpoint, slice, key);
      const same = old.get(key);
      return same?.equals(entry) ? same : entry;
    }),
  );
}

function uniqueKey({ pod, address }: Endpoint, { name }: EndpointSlice, used: ReadonlySet<string>): string {
  const plain = pod === '' ? hash('sha1', `${name} ${address}`).slice(0, 16) : pod.replace(/^.*\//, '');
  if (!used.has(plain)) return plain;
  const named = `${plain}.${name}`;
  if (!used.has(named)) return named;
  for (let n = 2; ; n++) if (!used.has(`${named}.${n}`)) return `${named}.${n}`;
}
