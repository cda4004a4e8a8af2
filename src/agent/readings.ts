import type { TableName } from '#abi/generated.ts';
import { protocolName } from '#lib/protocol.ts';
import type { PortSeries, Readings } from '#observe/own-metrics.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { readOutcomes } from '#reconcile/tables/outcomes.ts';
import type { PortCount, TablesWriter } from '#reconcile/tables/tables-writer.ts';

interface Parts {
  readonly tables: Pick<Tables, 'dump' | 'limit'>;
  readonly writer: Pick<TablesWriter, 'usage' | 'counts'>;
}

/** Readers that the metrics call at each scrape. */
export const readingsOf = ({ tables, writer }: Parts): Omit<Readings, 'counters'> => ({
  outcomes: () => readOutcomes(tables),
  tables: () =>
    Object.fromEntries(
      Object.entries(writer.usage()).map(([table, entries]) => [table, { entries, limit: tables.limit(table as TableName) }]),
    ),
  services: () => writer.counts().map(serviceCount),
});

function serviceCount({ name, family, protocol, connections, refusals }: PortCount): PortSeries {
  const [, namespace = '', service = '', port = ''] = /^([^/]*)\/([^:]*)(?::(.*))?$/.exec(name) ?? [];
  return { namespace, service, port, protocol: protocolName(protocol), family, connections, refusals };
}
