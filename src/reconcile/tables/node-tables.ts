import type { NetKey, TableEntry } from '#abi/generated.ts';
import { type Prefix, tablePrefixBits, withoutMapped } from '#lib/address.ts';
import type { Tables } from '../ports/tables.ts';
import type { WriteFailure } from '../retries.ts';
import type { NodeFacts } from '../wanted/wanted-state.ts';
import { type Batch, runBatch } from './batches.ts';
import { type NodeTables, rangeText } from './state.ts';

type NodeTableName = keyof NodeTables;
type Elements<T extends NodeTableName> = ReadonlyMap<string, TableEntry<T>>;

/** Writes the difference, settings first. Calls `failed` for each element that cannot be written and goes on. */
export function writeNodeTables(
  tables: Tables,
  held: NodeTables,
  facts: NodeFacts,
  outcome: { wrote(table: NodeTableName, verb: 'put' | 'remove'): void; failed(failure: WriteFailure): void },
): void {
  const bring = <T extends NodeTableName>(table: T, wanted: Elements<T>): void => {
    const actual = held[table] as Map<string, TableEntry<T>>;
    const changed = [...wanted].filter(([text, entry]) => !sameFields(actual.get(text)?.value, entry.value));
    const gone = [...actual].filter(([text]) => !wanted.has(text));
    const common = { table, skip: () => false, failed: (_: unknown, failure: WriteFailure) => outcome.failed(failure) };
    const put: Batch<[string, TableEntry<T>]> = {
      ...common,
      verb: 'put',
      steps: changed,
      element: ([, entry]) => entry,
      done: ([text, entry]) => {
        actual.set(text, entry);
        outcome.wrote(table, 'put');
      },
    };
    const remove: Batch<[string, TableEntry<T>]> = {
      ...common,
      verb: 'remove',
      steps: gone,
      element: ([, entry]) => entry.key,
      done: ([text]) => {
        actual.delete(text);
        outcome.wrote(table, 'remove');
      },
    };
    runBatch(tables, put);
    runBatch(tables, remove);
  };
  bring('settings', new Map([['0', { key: { value: 0 }, value: facts.settings }]]));
  bring('local_nets', new Map(facts.localNets.flatMap(withoutMapped).map(netEntry)));
  bring('devices', new Map(facts.devices.map(deviceEntry)));
}

/** What the tables hold now. */
export const adoptNodeTables = (tables: Tables): NodeTables => ({
  settings: new Map(tables.dump('settings').map((entry) => [String(entry.key.value), entry])),
  local_nets: new Map(tables.dump('local_nets').map((entry) => [rangeText(entry.key), entry])),
  devices: new Map(tables.dump('devices').map((entry) => [String(entry.key.ifindex), entry])),
});

function netEntry(prefix: Prefix): [string, TableEntry<'local_nets'>] {
  const key: NetKey = { prefixBits: tablePrefixBits(prefix), address: prefix.address };
  return [rangeText(key), { key, value: { present: 1 } }];
}

const deviceEntry = ({ ifindex, snat4, snat6, flags }: NodeFacts['devices'][number]): [string, TableEntry<'devices'>] => [
  String(ifindex),
  { key: { ifindex }, value: { snat4, snat6, flags } },
];

function sameFields<V extends object>(a: V | undefined, b: V): boolean {
  return a !== undefined && (Object.keys(b) as (keyof V)[]).every((field) => a[field] === b[field]);
}
