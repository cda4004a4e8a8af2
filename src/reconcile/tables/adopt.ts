import type { TableEntry } from '#abi/generated.ts';
import type { Tables } from '../ports/tables.ts';
import { frontendText, portIdentity } from '../wanted/keys.ts';
import { byFirst, clip, coalesce, endOf, type Run } from './id-allocator.ts';
import { adoptNodeTables } from './node-tables.ts';
import { createAllocators, endpointText, newPort, type PortState, rangeText, type SlotRange, type State } from './state.ts';

/**
 * Reads what the kernel holds. An earlier agent may have been killed between any two writes, so adopt() assumes nothing: entries of a
 * service id without a name (or with the name of another id) become a port of their own that no plan wants. Every place that a frontend
 * uses stays taken.
 */
export function adopt(tables: Tables, now: number): State {
  const { ports, portOf } = adoptPorts(tables);
  const owners = adoptFrontends(tables, portOf);
  for (const { key } of tables.dump('source_ranges')) portOf(key.service).sourceRanges.set(rangeText(key), key);
  const slots = readSlots(tables);
  const tangled = adoptRanges(ports.values(), slots);
  const ranges = [...rangesOf(ports.values()), ...tangled];
  const listed = listedBackends(ranges, slots, tables.limit('backends'));
  const known = new Uint8Array(listed.length);
  const idle: Run[] = [];
  const found = new Map<string, number[]>();
  for (const entry of tables.dump('backends')) {
    const id = entry.key.value;
    known[id] = 1;
    if (entry.value.flags !== 0 || listed[id] === 1) adoptBackend(portOf(entry.value.service), entry);
    else if (entry.value.service !== 0) idle.push(single(id));
    else if (id < listed.length) found.set(endpointText(entry.value), [...(found.get(endpointText(entry.value)) ?? []), id]);
  }
  const dangling = runsWhere(listed.length, (id) => listed[id] === 1 && known[id] === 0);
  const allocators = createAllocators(tables, {
    services: [...ports.values()].map((port) => single(port.service)),
    backends: runsWhere(listed.length, (id) => listed[id] === 1 || known[id] === 1),
    slots: ranges,
  });
  for (const run of idle) allocators.backends.release(run, now);
  return {
    ports: new Map([...ports.values()].map((port) => [port.identity, port])),
    owners,
    addresses: new Map(tables.dump('addresses').map(({ key, value }) => [key.address, value.flags])),
    node: adoptNodeTables(tables),
    allocators,
    retired: new Map(),
    withdrawn: { frontends: new Map(), nodeAddresses: new Map() },
    found: { ids: found, at: now },
    quarantine: { slots: tangled, backends: dangling },
  };
}

const single = (first: number): Run => ({ first, count: 1 });

/** Backend id by slot; 0 = none. */
function readSlots(tables: Tables): Uint32Array {
  const slots = new Uint32Array(tables.limit('slots'));
  for (const { key, value } of tables.dump('slots')) slots[key.value] = value.backend;
  return slots;
}

/** Runs of the numbers below `end` that satisfy a condition. */
function runsWhere(end: number, holds: (n: number) => boolean): Run[] {
  const runs: Run[] = [];
  for (let n = 0; n < end; n++) {
    const first = n;
    while (n < end && holds(n)) n++;
    if (n > first) runs.push({ first, count: n - first });
  }
  return runs;
}

function adoptPorts(tables: Tables): { readonly ports: ReadonlyMap<number, PortState>; portOf(service: number): PortState } {
  const ports = new Map<number, PortState>();
  const identities = new Set<string>();
  for (const { key, value } of tables.dump('services')) {
    const named = portIdentity(value.text, value.family, value.protocol);
    const port = newPort(identities.has(named) ? `#${key.service}` : named, key.service);
    port.named = true;
    port.lostFrontends = value.lostFrontends;
    identities.add(named);
    ports.set(key.service, port);
  }
  const portOf = (service: number): PortState => {
    const port = ports.get(service) ?? newPort(`#${service}`, service);
    ports.set(service, port);
    return port;
  };
  return { ports, portOf };
}

function adoptFrontends(tables: Tables, portOf: (service: number) => PortState): Map<string, PortState> {
  const owners = new Map<string, PortState>();
  for (const entry of tables.dump('frontends')) {
    const port = portOf(entry.value.service);
    port.frontends.set(frontendText(entry.key), entry);
    owners.set(frontendText(entry.key), port);
  }
  return owners;
}

function adoptBackend(port: PortState, { key, value }: TableEntry<'backends'>): void {
  port.backends.push({ id: key.value, address: value.address, port: value.port, flags: value.flags });
}

/** Gives every port the ranges that its frontends point into; returns the runs that several ports point into; no port gets them. */
function adoptRanges(ports: Iterable<PortState>, slots: Uint32Array): Run[] {
  const claims = [...ports].flatMap((port) => pointedRuns(port, slots.length).map((run) => ({ port, run })));
  claims.sort((a, b) => byFirst(a.run, b.run));
  const tangled: Run[] = [];
  for (let i = 0; i < claims.length; ) {
    const group = overlapping(claims, i);
    const [only, ...others] = group;
    if (only !== undefined && others.length === 0) only.port.ranges.push(readRange(only.run, slots));
    else tangled.push(...group.map((claim) => claim.run));
    i += group.length;
  }
  return coalesce(tangled);
}

/** The longest series of sorted claims from `at` on in which each claim overlaps an earlier one. */
function overlapping<C extends { readonly run: Run }>(claims: readonly C[], at: number): readonly C[] {
  let end = at;
  for (let reach = Number.NEGATIVE_INFINITY; end < claims.length; end++) {
    const { run } = claims[end] as C;
    if (end > at && run.first >= reach) break;
    reach = Math.max(reach, endOf(run));
  }
  return claims.slice(at, end);
}

const readRange = (run: Run, slots: Uint32Array): SlotRange => ({
  first: run.first,
  backends: [...slots.subarray(run.first, endOf(run))],
});

function pointedRuns(port: PortState, limit: number): readonly Run[] {
  const bounds = { first: 0, count: limit };
  const extents = [...port.frontends.values()].flatMap(({ value }) => [value.localSource, value.outsideSource]);
  const runs = extents.map((extent) => clip(extent, bounds)).filter((run) => run.count > 0);
  return coalesce(runs.sort(byFirst));
}

function* rangesOf(ports: Iterable<PortState>): Generator<Run> {
  for (const port of ports) for (const range of port.ranges) yield { first: range.first, count: range.backends.length };
}

/** By backend id: 1 if a slot of these runs names it, else 0. Ids beyond the table's limit are ignored. */
function listedBackends(runs: readonly Run[], slots: Uint32Array, limit: number): Uint8Array {
  const listed = new Uint8Array(limit);
  for (const run of runs) for (const id of slots.subarray(run.first, endOf(run))) listed[id] = 1;
  listed[0] = 0;
  return listed;
}
