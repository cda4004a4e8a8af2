import { Command, Option } from 'commander';
import {
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
  type Frontend,
} from '#abi/generated.ts';
import { DEFAULT_STATE_DIR } from '#config/flags.ts';
import { joinTables, type ListedBackend, type TableJoin } from '#explain/table-join.ts';
import { readTables } from '#kernel/bpf/open-tables.ts';
import { frontendName } from '#lib/frontend-name.ts';
import { hostPort } from '#lib/host-port.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { readOutcomes } from '#reconcile/tables/outcomes.ts';
import { formatTable } from './format.ts';

/** One frontend of the kernel's tables, with names. */
export interface DumpedFrontend {
  /** `namespace/name:port`, or `#ID` for an id without a name. */
  readonly service: string;
  /** `address:port/protocol`; `NodePort4` or `NodePort6` stands for every NodePort address. */
  readonly frontend: string;
  /** Backends for pods and this node's processes, as `address:port`. */
  readonly localSource: readonly string[];
  /** Backends for all other sources. */
  readonly outsideSource: readonly string[];
  /** How else a flow is treated, in words. */
  readonly notes: readonly string[];
}

/** A Service port that lacks wanted frontends. */
export interface DumpedLoser {
  readonly service: string;
  readonly family: number;
  /** Number of its frontends that another Service owns. */
  readonly lostFrontends: number;
}

/** The output of `weir dump`: the tables, joined. */
export interface Dump {
  readonly frontends: readonly DumpedFrontend[];
  readonly losers: readonly DumpedLoser[];
  /** Outcome to number of decisions since the tables were made. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Joins frontends with the names and addresses behind their numbers. */
export function dumpTables(tables: Tables): Dump {
  const join = joinTables(tables);
  const frontends = join.frontends.map(({ key, value }) => ({
    service: join.services.get(value.service)?.text ?? `#${value.service}`,
    frontend: frontendName(key),
    localSource: join.list(value, 'local').map(backendText),
    outsideSource: join.list(value, 'outside').map(backendText),
    notes: notesOf(value),
  }));
  frontends.sort((a, b) => compare(a.service, b.service) || compare(a.frontend, b.frontend));
  return { frontends, losers: losersOf(join), outcomes: readOutcomes(tables) };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const losersOf = ({ services }: TableJoin): DumpedLoser[] =>
  [...services.values()]
    .filter(({ lostFrontends }) => lostFrontends > 0)
    .map(({ text, family, lostFrontends }) => ({ service: text, family, lostFrontends }))
    .sort((a, b) => compare(a.service, b.service));

const backendText = ({ backend }: ListedBackend): string => (backend === undefined ? '?' : hostPort(backend.address, backend.port));

function notesOf({ flags, localSource, outsideSource, affinitySeconds }: Frontend): string[] {
  const snat = [flags & FRONTEND_SNAT_LOCAL ? 'pods' : '', flags & FRONTEND_SNAT_OUTSIDE ? 'outside' : ''].filter(Boolean);
  const whenEmpty = (count: number, drop: number): string => (count > 0 ? '' : flags & drop ? 'drop' : 'refuse');
  const local = whenEmpty(localSource.count, FRONTEND_DROP_LOCAL);
  const outside = whenEmpty(outsideSource.count, FRONTEND_DROP_OUTSIDE);
  return [
    snat.length > 0 ? `SNAT ${snat.join('+')}` : '',
    local !== '' && local === outside ? local : [local && `pods: ${local}`, outside && `outside: ${outside}`].filter(Boolean).join(', '),
    flags & FRONTEND_SOURCE_RANGES ? `source ranges${flags & FRONTEND_RANGES_ADMIT_NODE ? ' (with this node)' : ''}` : '',
    affinitySeconds > 0 ? `affinity ${affinitySeconds} s` : '',
  ].filter(Boolean);
}

const SHOWN_BACKENDS = 3;

const answeredBy = (list: readonly string[]): string => {
  if (list.length === 0) return 'none';
  const more = list.length - SHOWN_BACKENDS;
  return list.slice(0, SHOWN_BACKENDS).join(' ') + (more > 0 ? ` +${more}` : '');
};

/** The dump as two tables for people. */
export function formatDump(dump: Dump): string {
  const rows = dump.frontends.map((f) => {
    const [local, outside] = [answeredBy(f.localSource), answeredBy(f.outsideSource)];
    const areSame = f.localSource.join() === f.outsideSource.join();
    return [f.service, f.frontend, areSame ? local : `pods: ${local}; outside: ${outside}`, f.notes.join(', ')];
  });
  const lost = dump.losers.map(({ service, family, lostFrontends }) => [
    service,
    `${lostFrontends} of IPv${family} missing`,
    '',
    'another Service has what it wants, the log of the agent says which',
  ]);
  const outcomes = Object.entries(dump.outcomes).filter(([, count]) => count > 0);
  const counts = formatTable(
    ['OUTCOME', 'COUNT'],
    outcomes.map(([name, count]) => [name, String(count)]),
  );
  const decisions = outcomes.length === 0 ? 'No decision was taken yet' : counts;
  return [formatTable(['SERVICE', 'FRONTEND', 'ANSWERED BY', 'NOTES'], [...rows, ...lost]), '', decisions].join('\n');
}

/** `weir dump`. Exit code 1: there are no tables under the state folder. */
export function dumpCommand(): Command {
  return new Command('dump')
    .description('show what the kernel holds, joined with Service names; works without a running agent')
    .option('--state-dir <folder>', 'bpffs folder that holds the pins', DEFAULT_STATE_DIR)
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .action(({ stateDir, output }: { stateDir: string; output: 'table' | 'json' }) => {
      const tables = readTables(stateDir);
      if (tables === undefined)
        throw new Error(`Cannot dump: ${stateDir} holds no tables of weir, so no agent has run with this --state-dir`);
      const dump = dumpTables(tables);
      process.stdout.write(`${output === 'json' ? JSON.stringify(dump, null, 2) : formatDump(dump)}\n`);
    });
}
