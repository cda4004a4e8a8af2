import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  type Extent,
  FRONTEND_LOCAL_SOURCE_USES_LOCAL,
  FRONTEND_OUTSIDE_SOURCE_USES_LOCAL,
  type Frontend,
} from '#abi/generated.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { rangeText } from '#reconcile/tables/state.ts';
import { frontendText } from '#reconcile/wanted/keys.ts';

/** Reads tables as the datapath does, for tests. */
export interface Reader {
  /** `address:port flags` of every backend of an extent, or what is wrong with it. */
  extent(frontend: Frontend, extent: Extent, usesLocal: boolean): { readonly answers: string[]; readonly wrong: string[] };
  /** Everything that is wrong with live frontends. */
  wrongs(): string[];
  /** The tables' meaning, without the numbers that were chosen for ids and slots. */
  meaning(): Record<string, unknown>;
}

const BOTH = [
  ['localSource', FRONTEND_LOCAL_SOURCE_USES_LOCAL],
  ['outsideSource', FRONTEND_OUTSIDE_SOURCE_USES_LOCAL],
] as const;

/** A reader of the tables as they are at this moment. */
export function readerOf(tables: Tables): Reader {
  const slots = new Map(tables.dump('slots').map(({ key, value }) => [key.value, value.backend]));
  const backends = new Map(tables.dump('backends').map(({ key, value }) => [key.value, value]));
  const names = new Map(tables.dump('services').map(({ key, value }) => [key.service, value]));
  const frontends = tables.dump('frontends');
  const nameOf = (service: number): string => {
    const name = names.get(service);
    return name === undefined ? `nobody (${service})` : `${name.text} ${name.family} ${name.protocol}`;
  };

  const extent: Reader['extent'] = (frontend, { first, count }, usesLocal) => {
    const answers: string[] = [];
    const wrong: string[] = [];
    for (let slot = first; slot < first + count; slot++) {
      const id = slots.get(slot) ?? 0;
      const backend = backends.get(id);
      if (id === 0 || backend === undefined || backend.port === 0) wrong.push(`slot ${slot} has no backend`);
      else if (backend.service !== frontend.service) wrong.push(`slot ${slot} has a backend of ${nameOf(backend.service)}`);
      else if ((backend.flags & (usesLocal ? BACKEND_LOCAL_LIST : BACKEND_CLUSTER_LIST)) === 0)
        wrong.push(`slot ${slot} has a gone backend`);
      if (backend !== undefined) answers.push(`${backend.address} ${backend.port} ${backend.flags}`);
    }
    return { answers, wrong };
  };
  const ofBoth = <T>(frontend: Frontend, read: (found: ReturnType<Reader['extent']>) => T): T[] =>
    BOTH.map(([side, flag]) => read(extent(frontend, frontend[side], (frontend.flags & flag) !== 0)));
  const rangesOf = (service: number): string[] =>
    tables
      .dump('source_ranges')
      .filter(({ key }) => key.service === service)
      .map(({ key }) => rangeText(key))
      .sort();

  return {
    extent,
    wrongs: () =>
      frontends.flatMap(({ key, value }) => {
        const wrong = ofBoth(value, (found) => found.wrong).flat();
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
            lists: ofBoth(value, (found) => found.answers),
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
