import { itemId, type Ruleset, type RulesetChange, type RulesetItem } from '#reconcile/ports/ruleset.ts';

/** Table `inet weir` in memory: it refuses what nft would, and some transactions on purpose. */
export interface FakeRuleset extends Ruleset {
  /** By itemId(). */
  readonly held: Map<string, RulesetItem>;
  /** Items of each transaction that went well. */
  readonly sizes: number[];
  /** Part of the transactions that fail, 0 to 1. */
  faultRate: number;
  /** A text in an item that nft never takes. */
  poison: string | undefined;
  /** Another process removes the table. */
  flush(): void;
}

/** No table yet; by default one transaction in four fails. */
export function createFakeRuleset(faultRate = 0.25): FakeRuleset {
  let isThere = false;
  let calls = 0;

  /** Fails the given part of calls, evenly. */
  const mayFail = (items: readonly RulesetItem[]): void => {
    calls++;
    if (Math.floor(calls * fake.faultRate) > Math.floor((calls - 1) * fake.faultRate)) throw new Error('Busy\nmore of nft');
    const { poison } = fake;
    if (poison !== undefined && items.some((item) => JSON.stringify(item).includes(poison))) throw new Error(`nft refuses ${poison}`);
  };

  const fake: FakeRuleset = {
    held: new Map(),
    sizes: [],
    faultRate,
    poison: undefined,
    install(items) {
      mayFail(items);
      replaceWith(fake.held, applied(new Map(), { add: items, replace: [], remove: [] }));
      fake.sizes.push(items.length);
      isThere = true;
    },
    change(change) {
      if (!isThere) throw new Error('No such table');
      mayFail([...change.add, ...change.replace]);
      replaceWith(fake.held, applied(fake.held, change));
      fake.sizes.push(change.add.length + change.replace.length + change.remove.length);
    },
    isThere: () => isThere,
    flush() {
      isThere = false;
      fake.held.clear();
    },
  };
  return fake;
}

function applied(held: ReadonlyMap<string, RulesetItem>, { add, replace, remove }: RulesetChange): Map<string, RulesetItem> {
  const after = new Map(held);
  for (const item of add) {
    if (after.has(itemId(item))) throw new Error(`${itemId(item)} exists`);
    after.set(itemId(item), item);
  }
  for (const item of [...replace, ...remove]) if (!held.has(itemId(item))) throw new Error(`${itemId(item)} is missing`);
  for (const item of replace) after.set(itemId(item), item);
  for (const item of remove) after.delete(itemId(item));
  for (const id of [...after.values()].flatMap(references)) if (!after.has(id)) throw new Error(`${id} is named and missing`);
  return after;
}

/** Ids of what an item needs. */
function references(item: RulesetItem): readonly string[] {
  if (item.kind === 'element') return typeof item.verdict === 'object' ? [`chain ${item.verdict.chain}`] : [];
  if (item.kind === 'memory') return [];
  return item.rules.flatMap((rule) => {
    if (rule.kind === 'recall') return [`memory ${rule.memory}`, `chain ${rule.chain}`];
    if (rule.kind === 'remember') return [`memory ${rule.memory}`];
    return rule.kind === 'choose' ? rule.chains.map((chain) => `chain ${chain}`) : [];
  });
}

function replaceWith(held: Map<string, RulesetItem>, after: ReadonlyMap<string, RulesetItem>): void {
  held.clear();
  for (const [id, item] of after) held.set(id, item);
}
