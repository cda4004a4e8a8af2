import type { Address } from '#lib/address.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';

/** The active problems of an object. */
export interface ObjectProblems {
  /** See Problem. */
  readonly reason: string;
  readonly messages: readonly string[];
}

/** One object; without `object` and `said` it is gone. */
export interface Entry {
  readonly key: string;
  readonly object?: ModelObject | undefined;
  readonly said?: ObjectProblems | undefined;
}

/** An entry as JSON takes it. */
export type PackedEntry = readonly [key: string, value?: unknown, said?: ObjectProblems];

/** Endpoints are most of what there is: as lists they take a quarter of the room and of the time. */
type PackedEndpoint = readonly [
  address: Address,
  conditions: number,
  nodeName: string,
  pod: string,
  hints?: readonly (readonly string[])[],
];

const READY = 1;
const SERVING = 2;
const TERMINATING = 4;

/** Of nearly every endpoint; one list for all of them saves megabytes. */
const NONE: readonly string[] = [];

/** Reverse of unpackEntry. */
export function packEntry({ key, object, said }: Entry): PackedEntry {
  const value = object?.kind === 'EndpointSlice' ? { ...object.value, endpoints: object.value.endpoints.map(packEndpoint) } : object?.value;
  if (said !== undefined) return [key, value ?? null, said];
  return value === undefined ? [key] : [key, value];
}

/** Decodes an entry of a kind that packEntry of the same build has made. */
export function unpackEntry(kind: ModelKind, [key, value, said]: PackedEntry): Entry {
  const object = value === undefined || value === null ? undefined : ({ kind, key, value: unpack(kind, value) } as ModelObject);
  return { key, object, said };
}

function unpack(kind: ModelKind, value: unknown): unknown {
  if (kind !== 'EndpointSlice') return value;
  const slice = value as Omit<EndpointSlice, 'endpoints'> & { readonly endpoints: readonly PackedEndpoint[] };
  return { ...slice, endpoints: slice.endpoints.map(unpackEndpoint) };
}

function packEndpoint(endpoint: Endpoint): PackedEndpoint {
  const { address, ready, serving, terminating, nodeName, pod, hintZones, hintNodes } = endpoint;
  const conditions = (ready ? READY : 0) | (serving ? SERVING : 0) | (terminating ? TERMINATING : 0);
  if (hintZones.length + hintNodes.length === 0) return [address, conditions, nodeName, pod];
  return [address, conditions, nodeName, pod, [hintZones, hintNodes]];
}

const unpackEndpoint = ([address, conditions, nodeName, pod, hints]: PackedEndpoint): Endpoint => ({
  address,
  ready: (conditions & READY) !== 0,
  serving: (conditions & SERVING) !== 0,
  terminating: (conditions & TERMINATING) !== 0,
  nodeName,
  hintZones: hints?.[0] ?? NONE,
  hintNodes: hints?.[1] ?? NONE,
  pod,
});
