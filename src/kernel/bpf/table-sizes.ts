import { createHash } from 'node:crypto';
import { LAYOUT_DIGEST, TABLES, TAG_BACKEND, type TableName } from '#abi/generated.ts';

export type TableSizes = Readonly<Record<TableName, number>>;

/** More than this is a typing error rather than a cluster. Ids of backends must fit into a tag. */
const MOST_ENTRIES = 1 << 26;

/** One element each outcome, one element in all: other sizes would be another layout. */
const FIXED: readonly string[] = ['settings', 'counters', 'shortages', 'service_counts'];

/** max_entries of every table: the defaults of bpf/abi/maps.h with what the operator changed; throws on what cannot be. */
export function tableSizes(changes: Readonly<Record<string, number>>): TableSizes {
  const sizes = Object.fromEntries(Object.values(TABLES).map((table) => [table.name, table.maxEntries])) as Record<TableName, number>;
  for (const [name, size] of Object.entries(changes)) {
    const most = name === 'backends' ? TAG_BACKEND + 1 : MOST_ENTRIES;
    if (!isTable(name)) throw new Error(`Cannot size map "${name}": no such map; should be one of ${sizable().join(', ')}`);
    if (FIXED.includes(name)) throw new Error(`Cannot size map "${name}": its size is fixed at ${sizes[name]}`);
    if (!Number.isInteger(size) || size < 1 || size > most)
      throw new Error(`Cannot size map "${name}": size is ${size}; should be a whole number from 1 to ${most}`);
    sizes[name] = size;
  }
  // Service ids go from 1 to as many as there may be
  return { ...sizes, service_counts: sizes.services + 1 };
}

const isTable = (name: string): name is TableName => Object.hasOwn(TABLES, name);

const sizable = (): string[] => Object.keys(TABLES).filter((name) => !FIXED.includes(name));

/** Name of the folder that holds maps of this layout and these sizes: other ones never meet. bpffs allows no dots in it. */
export function folderName(sizes: TableSizes): string {
  const text = Object.entries(sizes)
    .map(([name, size]) => `${name}=${size}`)
    .sort()
    .join();
  return `${LAYOUT_DIGEST}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}

/** Whether the maps of a folder have this program's layout, by its name. */
export const isOfOurLayout = (folder: string): boolean => folder.startsWith(`${LAYOUT_DIGEST}-`);
