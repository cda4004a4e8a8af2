import type { TableName } from '#abi/generated.ts';
import { protocolName } from '#lib/protocol.ts';
import type { Readings, ServiceCount } from '#observe/own-metrics.ts';
import { readOutcomes } from '#reconcile/outcomes.ts';
import type { PortCount, Reconciler } from '#reconcile/reconciler.ts';
import type { Tables } from '#reconcile/tables.ts';

interface Parts {
  readonly tables: Pick<Tables, 'dump' | 'limit'>;
  readonly reconciler: Pick<Reconciler, 'usage' | 'counts'>;
}

/** What the kernel and the reconciler say of themselves when somebody asks for the metrics. */
export const readingsOf = ({ tables, reconciler }: Parts): Omit<Readings, 'counters'> => ({
  outcomes: () => readOutcomes(tables),
  tables: () =>
    Object.fromEntries(
      Object.entries(reconciler.usage()).map(([table, entries]) => [table, { entries, limit: tables.limit(table as TableName) }]),
    ),
  services: () => bothFamilies(reconciler.counts()),
});

function bothFamilies(counts: readonly PortCount[]): readonly ServiceCount[] {
  const groups = Map.groupBy(counts, ({ name, protocol }) => `${name} ${protocol}`);
  return Array.from(groups.values(), (group): ServiceCount => {
    const [{ name, protocol }] = group as [PortCount, ...PortCount[]];
    const [, namespace = '', service = '', port = ''] = /^([^/]*)\/([^:]*)(?::(.*))?$/.exec(name) ?? [];
    const sum = (what: 'connections' | 'refusals'): number => group.reduce((total, count) => total + count[what], 0);
    return { namespace, service, port, protocol: protocolName(protocol), connections: sum('connections'), refusals: sum('refusals') };
  });
}
