/** What table `inet weir` would make of a packet that the program of packet path `netfilter` has tagged. */
import { TAG_BACKEND, TAG_MASK, TAG_OF_WEIR, TAG_REFUSED, TAG_SNAT } from '#abi/generated.ts';
import { readNodeTables } from '#explain/node-tables.ts';
import { type Address, familyOf } from '#lib/address.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { run } from '#support/kernel-ground.ts';
import type { Verdict } from './programs.ts';

/** Reads tags of one node. Call it in the node's network namespace, with the table's contents of one moment. */
export interface TagReader {
  /** `source`: of the packet; `priority`: skb->priority. */
  read(priority: number, source: Address): Verdict;
}

/** Whether a priority is a tag. */
export const isTag = (priority: number): boolean => (priority & TAG_MASK) === TAG_OF_WEIR;

/** `leavesBy`: how packets to an address leave the node; undefined: the node delivers them, so no source is replaced. */
export function createTagReader(tables: Tables, leavesBy: (address: Address) => number | undefined): TagReader {
  const backends = new Map(tables.dump('backends').map(({ key, value }) => [key.value, value]));
  const node = readNodeTables(tables);
  return {
    read(priority, source) {
      if (!isTag(priority)) return { outcome: 'untouched' };
      if (priority & TAG_REFUSED) return { outcome: 'refused' };
      const backend = backends.get(priority & TAG_BACKEND);
      if (backend === undefined) throw new Error(`Cannot find backend ${priority & TAG_BACKEND}: the program has tagged a packet with it`);
      const ifindex = priority & TAG_SNAT ? leavesBy(backend.address) : undefined;
      const seen = ifindex === undefined ? source : node.snatSource(ifindex, familyOf(source));
      return { outcome: 'translated', backend: backend.address, port: backend.port, seen };
    },
  };
}

/** The device by which the kernel routes packets to an address in this network namespace. */
export function routeTo(address: Address, indexOf: (device: string) => number): number | undefined {
  const [route] = JSON.parse(run('ip', '-j', 'route', 'get', address)) as { type?: string; dev: string }[];
  return route === undefined || route.type === 'local' ? undefined : indexOf(route.dev);
}
