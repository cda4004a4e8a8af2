import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { ADDRESS_CLUSTER_IP, FRONTEND_SOURCE_RANGES, type Frontend, type TableEntry } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { frontendText } from '#reconcile/wanted/keys.ts';
import type { FakeTables } from './fake-tables.ts';
import { type Reader, readerOf } from './table-reader.ts';

/** A program that read a frontend this long ago may still be on its way. */
export const SLOW_MS = 1000;

/** What a watcher needs from the writer. */
interface Watched {
  readonly tables: FakeTables;
  /** Plans that the writer wants, or still serves because it lacks newer ones. */
  wanted(): Iterable<PortPlan>;
  /** The writer's clock, ms. */
  now(): number;
}

/**
 * For tests: looks at fake tables after every single write, as a program that runs at this moment would, and throws an
 * AssertionError when a client is led astray.
 */
export class WriteWatcher {
  readonly #watched: Watched;
  /** Values that frontends had: a slow program may still hold one. */
  #old: { readonly value: Frontend; readonly until: number }[] = [];
  #clusterIPs: ReadonlySet<Address> = new Set();
  #live = new Map<string, TableEntry<'frontends'>>();
  /** Frontends that only the Service port wants which has them, and its name: they must not vanish. */
  readonly #served = new Map<string, string>();

  constructor(watched: Watched) {
    this.#watched = watched;
    watched.tables.onWrite = (table, key) => this.#look(table, key);
  }

  /** Something else is wanted than before. */
  wantedChanged(): void {
    for (const [text, owner] of this.#served) if (this.#soleClaimant(text) !== owner) this.#served.delete(text);
  }

  /** So much time has passed that no program still runs. */
  forgetSlowPrograms(): void {
    this.#old = [];
  }

  /** Name of the one Service port that wants a frontend. */
  #soleClaimant(text: string): string | undefined {
    const claimants = [...this.#watched.wanted()].filter((one) => textsOf(one).includes(text));
    return claimants.length === 1 ? claimants[0]?.name : undefined;
  }

  #look(table: string, key: object): void {
    const reader = readerOf(this.#watched.tables);
    assert.deepEqual(reader.wrongs(), []);
    if (table === 'slots') this.#refuseLiveSlot((key as { value: number }).value);
    if (table === 'frontends') this.#noteFrontends();
    if (table === 'addresses') this.#refuseNoWantedPort();
    this.#followSlowPrograms(reader);
    this.#watchRanges();
  }

  #followSlowPrograms(reader: Reader): void {
    this.#old = this.#old.filter(({ until }) => until > this.#watched.now());
    for (const { value } of this.#old) assertOwn(reader.wrongsOf(value));
  }

  /** An address that becomes live refuses the ports that it lacks. */
  #refuseNoWantedPort(): void {
    const before = this.#clusterIPs;
    this.#clusterIPs = new Set(
      this.#watched.tables.dump('addresses').flatMap(({ key, value }) => (value.flags & ADDRESS_CLUSTER_IP ? [key.address] : [])),
    );
    for (const one of this.#watched.wanted()) {
      const born = one.clusterIPs.filter((address) => this.#clusterIPs.has(address) && !before.has(address));
      if (born.length === 0) continue;
      for (const text of textsOf({ ...one, frontends: one.frontends.filter(({ address }) => born.includes(address)) }))
        assert.ok(this.#soleClaimant(text) === undefined || this.#live.has(text), `${text} is refused`);
    }
  }

  #refuseLiveSlot(slot: number): void {
    for (const { value } of this.#live.values())
      for (const { first, count } of [value.localSource, value.outsideSource])
        assert.ok(slot < first || slot >= first + count, `slot ${slot} is live`);
  }

  #noteFrontends(): void {
    const { tables, now } = this.#watched;
    const live = new Map(tables.dump('frontends').map((entry) => [frontendText(entry.key), entry]));
    for (const [text, { value }] of this.#live)
      if (!isDeepStrictEqual(live.get(text)?.value, value)) this.#old.push({ value, until: now() + SLOW_MS });
    this.#live = live;
    const names = new Map(tables.dump('services').map(({ key, value }) => [key.service, value.text]));
    for (const [text, { value }] of live) {
      const owner = this.#soleClaimant(text);
      if (owner !== undefined && owner === names.get(value.service)) this.#served.set(text, owner);
    }
    for (const text of this.#served.keys()) assert.ok(live.has(text), `${text} vanished`);
  }

  #watchRanges(): void {
    const ranged = new Set(this.#watched.tables.dump('source_ranges').map(({ key }) => key.service));
    for (const [text, { value }] of this.#live)
      assert.ok((value.flags & FRONTEND_SOURCE_RANGES) === 0 || ranged.has(value.service), `${text} has lost its source ranges`);
  }
}

const texts = new WeakMap<PortPlan, readonly string[]>();

function textsOf(wanted: PortPlan): readonly string[] {
  const known = texts.get(wanted);
  if (known !== undefined) return known;
  const found = wanted.frontends.map(({ address, port }) => frontendText({ address, port, protocol: wanted.protocol }));
  texts.set(wanted, found);
  return found;
}

/** A slow program may find a gone backend, but never one of another Service port. */
const assertOwn = (wrong: readonly string[]): void =>
  assert.deepEqual(
    wrong.filter((text) => !text.endsWith('gone backend')),
    [],
  );
