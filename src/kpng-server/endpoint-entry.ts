import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { endpointCodec, endpointInfoCodec } from '#kpng/messages.ts';
import { setOperation } from '#kpng/operations.ts';
import { globalPath, SETS } from '#kpng/sets.ts';
import { type EndpointScopes, endpointInfo, endpointMessage } from '#kpng/to-messages.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import { keptFrame } from './kept-frame.ts';
import type { Operation } from './view.ts';

/** An endpoint of a Service, and how it is sent; that depends on what it is for on a node. */
export class EndpointEntry {
  readonly endpoint: Endpoint;
  readonly slice: EndpointSlice;
  /** Last part of its path, unique in its Service. */
  readonly key: string;
  /** Those of one or two scopes, most of the time. */
  #variants: readonly (Operation & { readonly variant: number })[] = [];
  #global: Operation | undefined;

  constructor(endpoint: Endpoint, slice: EndpointSlice, key: string) {
    this.endpoint = endpoint;
    this.slice = slice;
    this.key = key;
  }

  isAs({ endpoint, slice }: EndpointEntry): boolean {
    return (
      (endpoint === this.endpoint || isDeepStrictEqual(endpoint, this.endpoint)) &&
      slice.name === this.slice.name &&
      (slice.ports === this.slice.ports || isDeepStrictEqual(slice.ports, this.slice.ports))
    );
  }

  /** In the local stream. */
  operation(scopes: EndpointScopes): Operation {
    const variant = Number(scopes.local) + 2 * Number(scopes.internal) + 4 * Number(scopes.external);
    const known = this.#variants.find((each) => each.variant === variant);
    if (known !== undefined) return known;
    const made = { ...this.#encode(scopes), variant };
    this.#variants = [...this.#variants, made];
    return made;
  }

  /** In the global stream. */
  globalOperation(): Operation {
    this.#global ??= this.#encodeGlobal();
    return this.#global;
  }

  #encode(scopes: EndpointScopes): Operation {
    const { namespace, serviceName } = this.slice;
    const path = `${namespace}/${serviceName}/${this.key}`;
    const bytes = endpointCodec.encode(endpointMessage(this.endpoint, this.slice, scopes));
    return { set: SETS.Endpoints, path, framed: keptFrame(setOperation(SETS.Endpoints, path, bytes)) };
  }

  #encodeGlobal(): Operation {
    const { namespace, serviceName, name } = this.slice;
    const path = globalPath(namespace, serviceName, name, this.key);
    const info = endpointInfo(this.endpoint, this.slice);
    const bytes = endpointInfoCodec.encode({ ...info, Hash: hashOf(endpointInfoCodec.encode(info)) });
    return { set: SETS.GlobalEndpointInfos, path, framed: keptFrame(setOperation(SETS.GlobalEndpointInfos, path, bytes)) };
  }
}

/** Old peers take two objects of one path for the same when their hashes are: 48 bits, which JavaScript has as a number. */
export const hashOf = (bytes: Uint8Array): number => Number.parseInt(hash('sha1', bytes).slice(0, 12), 16);

/**
 * Entries of all endpoints of a Service, those that are as before being those of `before`. Keys are pods' names, as in KPNG, or hashes of
 * what has none; where a pod stands in several slices, as one with addresses of both families does, the later slices are named, too.
 */
export function entriesOf(slices: readonly EndpointSlice[], before: readonly EndpointEntry[]): readonly EndpointEntry[] {
  const old = new Map(before.map((entry) => [entry.key, entry]));
  const used = new Set<string>();
  return slices.flatMap((slice) =>
    slice.endpoints.map((endpoint) => {
      const key = firstFree(endpoint, slice, used);
      used.add(key);
      const entry = new EndpointEntry(endpoint, slice, key);
      const same = old.get(key);
      return same?.isAs(entry) ? same : entry;
    }),
  );
}

function firstFree({ pod, address }: Endpoint, { name }: EndpointSlice, used: ReadonlySet<string>): string {
  const plain = pod === '' ? hash('sha1', `${name} ${address}`).slice(0, 16) : pod.replace(/^.*\//, '');
  if (!used.has(plain)) return plain;
  const named = `${plain}.${name}`;
  if (!used.has(named)) return named;
  for (let n = 2; ; n++) if (!used.has(`${named}.${n}`)) return `${named}.${n}`;
}
