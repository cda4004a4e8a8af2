import { Command, Option } from 'commander';
import {
  type Backend,
  type Extent,
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
  type Frontend,
  type FrontendKey,
} from '#abi/generated.ts';
import { DEFAULT_STATE_DIR } from '#config/flags.ts';
import { readTables } from '#kernel/bpf/open-tables.ts';
import { familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import { protocolName } from '#lib/protocol.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { readOutcomes } from '#reconcile/tables/outcomes.ts';
import { formatTable, socketAddress } from './format.ts';

/** One frontend as the kernel holds it, names resolved. */
export interface DumpedFrontend {
  /** `namespace/name:port`, or `#ID` when the kernel holds no name for it. */
  readonly service: string;
  /** `address:port/protocol`; `NodePort4` or `NodePort6` stands for every NodePort address. */
  readonly frontend: string;
  /** Who answers pods and this node's own processes, as `address:port`. */
  readonly localSource: readonly string[];
  /** Who answers everybody else. */
  readonly outsideSource: readonly string[];
  /** What else happens to a flow, in words. */
  readonly notes: readonly string[];
}

/** A Service port that does not have all that it wants. */
export interface DumpedLoser {
  readonly service: string;
  readonly family: number;
  /** Number of its frontends that another Service has. */
  readonly lostFrontends: number;
}

/** What `weir dump` prints: the tables, joined. */
export interface Dump {
  readonly frontends: readonly DumpedFrontend[];
  readonly losers: readonly DumpedLoser[];
  /** Outcome to number of decisions since the tables were made. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Joins frontends with the names and addresses behind their numbers. */
export function dumpTables(tables: Tables): Dump {
  const names = new Map(tables.dump('services').map(({ key, value }) => [key.service, value.text]));
  const slots = new Map(tables.dump('slots').map(({ key, value }) => [key.value, value.backend]));
  const backends = new Map(tables.dump('backends').map(({ key, value }) => [key.value, value]));
  const listed = ({ first, count }: Extent): string[] =>
    Array.from({ length: count }, (_, i) => backendText(backends.get(slots.get(first + i) ?? 0)));

  const frontends = tables.dump('frontends').map(({ key, value }) => ({
    service: names.get(value.service) ?? `#${value.service}`,
    frontend: frontendText(key),
    localSource: listed(value.localSource),
    outsideSource: listed(value.outsideSource),
    notes: notesOf(value),
  }));
  frontends.sort((a, b) => compare(a.service, b.service) || compare(a.frontend, b.frontend));
  return { frontends, losers: losersOf(tables), outcomes: readOutcomes(tables) };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const losersOf = (tables: Tables): DumpedLoser[] =>
  tables
    .dump('services')
    .filter(({ value }) => value.lostFrontends > 0)
    .map(({ value: { text, family, lostFrontends } }) => ({ service: text, family, lostFrontends }))
    .sort((a, b) => compare(a.service, b.service));

const backendText = (backend: Backend | undefined): string => (backend === undefined ? '?' : socketAddress(backend.address, backend.port));

function frontendText({ address, port, protocol }: FrontendKey): string {
  const family = familyOf(address);
  const dialled = address === ZERO_ADDRESS[family] ? `NodePort${family}:${port}` : socketAddress(address, port);
  return `${dialled}/${protocolName(protocol)}`;
}

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
  if (list.length === 0) return 'nobody';
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
    .option('--state-dir <dir>', 'bpffs folder that holds the pins', DEFAULT_STATE_DIR)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'))
    .action(({ stateDir, output }: { stateDir: string; output: 'table' | 'json' }) => {
      const tables = readTables(stateDir);
      if (tables === undefined)
        throw new Error(`Cannot dump: ${stateDir} holds no tables of weir, so no agent has run with this --state-dir`);
      const dump = dumpTables(tables);
      process.stdout.write(`${output === 'json' ? JSON.stringify(dump, null, 2) : formatDump(dump)}\n`);
    });
}
