import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { refuse } from '#support/fake-api-server.ts';
import { type Followed, followed, kubernetes, node, served, service, slice } from '#support/followed-api-server.ts';
import { until } from '#support/manifest-folder.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

type Step =
  | { readonly does: 'put' | 'delete'; readonly name: string; readonly port: number; readonly foreign: boolean }
  | {
      readonly does:
        | 'end'
        | 'mid-line'
        | 'reset'
        | 'compact'
        | 'garble'
        | 'expire'
        | 'bookmark'
        | 'busy'
        | 'pages'
        | 'streams'
        | 'wait'
        | 'restore'
        | 'restart';
    };

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
      name: fc.constantFrom(...NAMES),
      port: fc.integer({ min: 1, max: 9 }),
      foreign: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constantFrom(
        ...([
          'end',
          'mid-line',
          'reset',
          'compact',
          'garble',
          'expire',
          'bookmark',
          'busy',
          'pages',
          'streams',
          'wait',
          'restore',
          'restart',
        ] as const),
      ),
    }),
  },
);

const dir = mkdtempSync(join(tmpdir(), 'weir-history-'));
after(() => rmSync(dir, { recursive: true }));
let journals = 0;
const nextJournal = (): string => join(dir, `${journals++}.journal`);

const TIMES = { confirmMs: 20, quietMs: 1 };

/** Objects that every history keeps. */
const GIVEN = [kubernetes('one'), slice('x'), node('n1')];

/** What the server holds, and what it should look like at the sink. */
class Cluster {
  #follows: Followed;
  #journal: string;
  readonly #objects = new Map<string, Extract<Step, { readonly does: 'put' | 'delete' }>>();
  #revision = 5000;

  constructor(follows: Followed, journal: string) {
    this.#follows = follows;
    this.#journal = journal;
  }

  get follows(): Followed {
    return this.#follows;
  }

  async take(step: Step): Promise<void> {
    const { server } = this.#follows;
    if (step.does === 'put') {
      this.#objects.set(step.name, step);
      server.put(objectOf(step));
    } else if (step.does === 'delete') {
      this.#objects.delete(step.name);
      server.delete(objectOf(step));
    } else if (step.does === 'end' || step.does === 'mid-line' || step.does === 'reset') server.cut(step.does);
    else if (step.does === 'compact') server.compact();
    else if (step.does === 'bookmark') server.bookmark();
    else if (step.does === 'garble') server.say('{"type":"ADDED"}\n');
    else if (step.does === 'expire') server.say('{"type":"ERROR","object":{"code":410,"message":"too old"}}\n');
    else if (step.does === 'busy') this.#refuseNext(3);
    else if (step.does === 'wait') await new Promise((resolve) => setTimeout(resolve, 5));
    else if (step.does === 'restore') this.#restore();
    else if (step.does === 'restart') await this.#restart();
    else server.streamsLists = step.does === 'streams';
  }

  /** `kind name port` of all that a proxy should see. */
  wanted(): string {
    const shown = [...this.#objects.values()].filter(({ foreign }) => !foreign);
    return shown
      .map(({ name, port }) => `${name} ${port}`)
      .sort()
      .join();
  }

  seen(): string {
    const services = [...this.#follows.objects.values()].flatMap((object) => (object.kind === 'Service' ? [object.value] : []));
    return services
      .filter(({ name }) => name !== 'kubernetes')
      .map(({ name, ports }) => `${name} ${ports[0]?.port}`)
      .sort()
      .join();
  }

  #refuseNext(count: number): void {
    let left = count;
    this.#follows.server.fault = (_url, response) => left-- > 0 && refuse(response, 503, 'busy');
  }

  /** One that is killed now, and another that finds what it left. */
  async #restart(): Promise<void> {
    const { server, stop } = this.#follows;
    const copy = nextJournal();
    if (existsSync(this.#journal)) copyFileSync(this.#journal, copy);
    await stop();
    this.#journal = copy;
    this.#follows = await followed(server, { journal: copy, times: TIMES, sync: false });
  }

  /** An earlier state, as a whole: a server that goes down for that ends its watches. */
  #restore(): void {
    for (const name of [...this.#objects.keys()].slice(0, 2)) this.#objects.delete(name);
    this.#revision -= 500;
    this.#follows.server.cut('reset');
    this.#follows.server.restore([...this.#objects.values()].map(objectOf).concat(GIVEN), Math.max(1, this.#revision));
  }
}

const objectOf = ({ name, port, foreign }: { name: string; port: number; foreign: boolean }) =>
  service(name, port, foreign ? { 'service.kubernetes.io/service-proxy-name': 'other' } : {});

test('whatever happens on the way, the sink ends with what the server holds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 40 }), async (steps) => {
      const journal = nextJournal();
      const cluster = new Cluster(await followed(await served(GIVEN), { journal, times: TIMES }), journal);
      for (const step of steps) await cluster.take(step);
      await until(`${cluster.wanted()} after ${JSON.stringify(steps)}, is ${cluster.seen()}`, () => cluster.seen() === cluster.wanted());
      await cluster.follows.stop();
      await cluster.follows.server.stop();
      assert.equal(cluster.seen(), cluster.wanted());
    }),
    { numRuns: Number(process.env.WEIR_RUNS ?? 60), endOnFailure: true },
  );
});
