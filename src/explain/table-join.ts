import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  type Backend,
  type Extent,
  FRONTEND_LOCAL_SOURCE_USES_LOCAL,
  FRONTEND_OUTSIDE_SOURCE_USES_LOCAL,
  type Frontend,
  type FrontendKey,
  type TableEntry,
  type TableName,
} from '#abi/generated.ts';

/** Readable tables of the datapath. */
export interface TableDump {
  /** Every entry; of arrays only entries with a byte other than 0. */
  dump<T extends TableName>(table: T): TableEntry<T>[];
}

/** Which source a list of a frontend is for: pods and this node's processes, or outsiders. */
export type Side = 'local' | 'outside';

/** Why a slot does not lead to a live backend of its own Service port. */
export type Defect = 'no_backend' | 'foreign_backend' | 'gone_backend';

/** One slot of a list. */
export interface ListedBackend {
  readonly slot: number;
  /** Undefined if the slot has no id, or table `backends` has no such id. */
  readonly backend: Backend | undefined;
  readonly defect: Defect | undefined;
}

/** The tables that Services fill, joined. */
export interface TableJoin {
  readonly frontends: readonly TableEntry<'frontends'>[];
  /** By service id. */
  readonly services: ReadonlyMap<number, TableEntry<'services'>['value']>;
  readonly backends: ReadonlyMap<number, Backend>;
  /** The exact frontend of an address and port; see frontendFor() for NodePorts. */
  frontend(key: FrontendKey): Frontend | undefined;
  /** The backends that answer one side, in the order of their slots. */
  list(frontend: Frontend, side: Side): readonly ListedBackend[];
}

const EXTENTS: Readonly<Record<Side, 'localSource' | 'outsideSource'>> = { local: 'localSource', outside: 'outsideSource' };
const USES_LOCAL: Readonly<Record<Side, number>> = {
  local: FRONTEND_LOCAL_SOURCE_USES_LOCAL,
  outside: FRONTEND_OUTSIDE_SOURCE_USES_LOCAL,
};

/** The extent of a frontend for one side. */
export const extentOf = (frontend: Frontend, side: Side): Extent => frontend[EXTENTS[side]];

/** Joins the tables as they are at this moment. */
export function joinTables(tables: TableDump): TableJoin {
  const slots = new Map(tables.dump('slots').map(({ key, value }) => [key.value, value.backend]));
  const backends = new Map(tables.dump('backends').map(({ key, value }) => [key.value, value]));
  const frontends = tables.dump('frontends');
  let byKey: ReadonlyMap<string, Frontend> | undefined;

  const listed = (slot: number, service: number, flag: number): ListedBackend => {
    const backend = backends.get(slots.get(slot) ?? 0);
    return { slot, backend, defect: defectOf(backend, service, flag) };
  };

  return {
    frontends,
    services: new Map(tables.dump('services').map(({ key, value }) => [key.service, value])),
    backends,
    frontend(key) {
      byKey ??= new Map(frontends.map((entry) => [keyText(entry.key), entry.value]));
      return byKey.get(keyText(key));
    },
    list(frontend, side) {
      const { first, count } = extentOf(frontend, side);
      const flag = (frontend.flags & USES_LOCAL[side]) !== 0 ? BACKEND_LOCAL_LIST : BACKEND_CLUSTER_LIST;
      return Array.from({ length: count }, (_, i) => listed(first + i, frontend.service, flag));
    },
  };
}

const keyText = ({ address, port, protocol }: FrontendKey): string => `${address} ${port} ${protocol}`;

function defectOf(backend: Backend | undefined, service: number, flag: number): Defect | undefined {
  if (backend === undefined || backend.port === 0) return 'no_backend';
  if (backend.service !== service) return 'foreign_backend';
  return (backend.flags & flag) === 0 ? 'gone_backend' : undefined;
}
