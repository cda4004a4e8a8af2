import type { Frontend } from '#abi/generated.ts';
import { type Defect, joinTables, type Side } from '#explain/table-join.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { rangeText } from '#reconcile/tables/state.ts';
import { frontendText } from '#reconcile/wanted/keys.ts';

/** Reads tables as the datapath does, for tests. */
export interface Reader {
  /** Defects in the lists of a frontend, which need not be live. */
  wrongsOf(frontend: Frontend): string[];
  /** All defects of live frontends. */
  wrongs(): string[];
  /** The tables' meaning, without the numbers that were chosen for ids and slots. */
  meaning(): Record<string, unknown>;
}

const SIDES: readonly Side[] = ['local', 'outside'];

/** A reader of the tables as they are at this moment. */
export function readerOf(tables: Tables): Reader {
  const join = joinTables(tables);
  const { frontends, services: names, backends } = join;
  const nameOf = (service: number): string => {
    const name = names.get(service);
    return name === undefined ? `no name (${service})` : `${name.text} ${name.family} ${name.protocol}`;
  };
  const answersOf = (frontend: Frontend): string[][] =>
    SIDES.map((side) =>
      join
        .list(frontend, side)
        .flatMap(({ backend }) => (backend === undefined ? [] : `${backend.address} ${backend.port} ${backend.flags}`)),
    );
  const wrongsOf = (frontend: Frontend): string[] =>
    SIDES.flatMap((side) => join.list(frontend, side)).flatMap(({ slot, backend, defect }) =>
      defect === undefined ? [] : `slot ${slot} has ${WORDS[defect](nameOf(backend?.service ?? 0))}`,
    );
  const rangesOf = (service: number): string[] =>
    tables
      .dump('source_ranges')
      .filter(({ key }) => key.service === service)
      .map(({ key }) => rangeText(key))
      .sort();

  return {
    wrongsOf,
    wrongs: () =>
      frontends.flatMap(({ key, value }) => {
        const wrong = wrongsOf(value);
        if (names.get(value.service)?.protocol !== key.protocol) wrong.push(`belongs to ${nameOf(value.service)}`);
        return wrong.map((text) => `${frontendText(key)}: ${text}`);
      }),
    meaning: () => ({
      frontends: sorted(
        frontends.map(({ key, value }) => [
          frontendText(key),
          {
            of: nameOf(value.service),
            flags: value.flags,
            affinity: value.affinitySeconds,
            lists: answersOf(value),
          },
        ]),
      ),
      services: sorted([...names].map(([service, { lostFrontends }]) => [nameOf(service), { lostFrontends, ranges: rangesOf(service) }])),
      liveBackends: [...backends.values()]
        .filter((backend) => backend.flags !== 0)
        .map((backend) => `${nameOf(backend.service)}: ${backend.address} ${backend.port} ${backend.flags}`)
        .sort(),
      ranges: tables.dump('source_ranges').length,
      addresses: sorted(tables.dump('addresses').map(({ key, value }) => [key.address, value.flags])),
      node: (['settings', 'local_nets', 'devices'] as const).map((table) =>
        sorted(tables.dump(table).map(({ key, value }) => [Object.values(key).join(' '), value])),
      ),
    }),
  };
}

const sorted = <T>(pairs: readonly (readonly [string, T])[]): (readonly [string, T])[] => [...pairs].sort(([a], [b]) => (a < b ? -1 : 1));

const WORDS: Readonly<Record<Defect, (owner: string) => string>> = {
  no_backend: () => 'no backend',
  foreign_backend: (owner) => `a backend of ${owner}`,
  gone_backend: () => 'a gone backend',
};
