import type { TableName } from '#abi/generated.ts';
import { protocolName } from '#lib/protocol.ts';
import type { Readings, ServiceCount } from '#observe/own-metrics.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { readOutcomes } from '#reconcile/tables/outcomes.ts';
import type { PortCount, Reconciler } from '#reconcile/tables/reconciler.ts';

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
  services: () => reconciler.counts().map(serviceCount),
});

function serviceCount({ name, family, protocol, connections, refusals }: PortCount): ServiceCount {
  const [, namespace = '', service = '', port = ''] = /^([^/]*)\/([^:]*)(?::(.*))?$/.exec(name) ?? [];
  return { namespace, service, port, protocol: protocolName(protocol), family, connections, refusals };
}
