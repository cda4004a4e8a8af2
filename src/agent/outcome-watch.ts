import {
  OUTCOME_PACKET_DROP_BROKEN_TABLE,
  OUTCOME_PACKET_DROP_CONNTRACK,
  OUTCOME_PACKET_DROP_CONNTRACK_FULL,
  OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS,
  OUTCOME_PACKET_DROP_NO_SOURCE_PORT,
  OUTCOME_SOCKET_REFUSED_BROKEN_TABLE,
} from '#abi/generated.ts';
import type { EventReason, EventRecorder } from '#events/event-recorder.ts';
import { sysctl } from '#kernel/node/sysctl.ts';
import { type Facts, type Log, withFacts } from '#observe/log.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { countOutcomes } from '#reconcile/tables/outcomes.ts';

type Readable = Pick<Tables, 'dump'>;

/** The warning about an outcome: the exhausted resource, the remedy, and current facts. */
interface Trouble {
  readonly outcome: number;
  readonly reason: EventReason;
  readonly message: string;
  readonly facts?: (tables: Readable) => Facts;
}

const BROKEN = 'which no change of objects explains: restart weir, and report it with the output of "weir dump"';

const TROUBLES: readonly Trouble[] = [
  {
    outcome: OUTCOME_PACKET_DROP_CONNTRACK_FULL,
    reason: 'ConntrackFull',
    message: 'Dropped first packets of flows: the connection tracking table is full. Raise sysctl net.netfilter.nf_conntrack_max',
    facts: () => ({ nf_conntrack_max: sysctl('net.netfilter.nf_conntrack_max') }),
  },
  {
    outcome: OUTCOME_PACKET_DROP_NO_SOURCE_PORT,
    reason: 'SourcePortsExhausted',
    message:
      "Dropped first packets of flows: all source ports that this node's address has towards one backend are in use. " +
      'Add endpoints, let clients come in by more nodes, or set externalTrafficPolicy Local, which needs no source ports',
    facts: shortageFacts,
  },
  {
    outcome: OUTCOME_PACKET_DROP_CONNTRACK,
    reason: 'ConntrackRefused',
    message: 'Dropped first packets of flows: the kernel refused their connection tracking entries. "conntrack -S" shows what it counts',
  },
  {
    outcome: OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS,
    reason: 'NoSourceAddress',
    message:
      'Dropped first packets of flows: they need a source address of this node, and neither the device that they leave by nor its Node has one of their family',
  },
  {
    outcome: OUTCOME_PACKET_DROP_BROKEN_TABLE,
    reason: 'BrokenTable',
    message: `Dropped packets: their Service leads to no backend, ${BROKEN}`,
  },
  {
    outcome: OUTCOME_SOCKET_REFUSED_BROKEN_TABLE,
    reason: 'BrokenTable',
    message: `Refused sockets: their Service leads to no backend, ${BROKEN}`,
  },
];

/** The last flow without a free source port: source address, backend and Service. */
function shortageFacts(tables: Readable): Facts {
  const [entry] = tables.dump('shortages');
  if (entry === undefined) return {};
  const { source, backend, port, service } = entry.value;
  const name = tables.dump('services').find(({ key }) => key.service === service)?.value.text;
  return { service: name ?? `#${service}`, source, backend, port };
}

/** Interval between readings, and the minimum between two warnings about one outcome, ms. */
export interface WatchTimes {
  readonly lookMs: number;
  readonly quietMs: number;
}

/** Warns when an error counter increases, at most once a minute per outcome. Ignores counts from before the start. */
export function watchOutcomes(
  tables: Readable,
  { log, events }: { readonly log: Log; readonly events: EventRecorder },
  { lookMs, quietMs }: WatchTimes = { lookMs: 5000, quietMs: 60_000 },
): { stop(): void } {
  const told = new Map([...countOutcomes(tables)].map(([outcome, count]) => [outcome, { count, until: 0 }]));
  let failure: string | undefined;

  const look = (): void => {
    const counts = countOutcomes(tables);
    for (const { outcome, reason, message, facts } of TROUBLES) {
      const [count, before] = [counts.get(outcome) ?? 0, told.get(outcome)];
      const now = performance.now();
      if (count <= (before?.count ?? 0) || now < (before?.until ?? 0)) continue;
      const known = facts?.(tables);
      log.warn(message, { times: count - (before?.count ?? 0), ...known });
      events.record({ reason, note: withFacts(message, known) });
      told.set(outcome, { count, until: now + quietMs });
    }
  };
  const timer = setInterval(() => {
    try {
      look();
      failure = undefined;
    } catch (error) {
      if (failure !== String(error)) log.error('Cannot read the outcome counters, trying again', { error });
      failure = String(error);
    }
  }, lookMs);
  return { stop: () => clearInterval(timer) };
}
