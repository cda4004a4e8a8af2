import assert from 'node:assert/strict';
import { itemId, type Ruleset, type RulesetChange, type RulesetItem } from '#reconcile/ports/ruleset.ts';
import { Crash } from '#support/fake-tables.ts';

/** A transaction that fails on purpose. */
export class RulesetFault extends Error {}

/** Table `inet weir` in memory: atomic transactions, as strict as nft about existing and missing items, with deliberate faults. */
export class FakeRuleset implements Ruleset {
  /** Share of failing transactions, 0 to 1. */
  faultRate = 0.1;
  /** Kills the agent before its next transaction. */
  isAgentKilled = false;
  #items: ReadonlyMap<string, RulesetItem> | undefined;
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed % 0x7fffffff;
  }

  install(items: readonly RulesetItem[]): void {
    const next = new Map(items.map((item) => [itemId(item), item]));
    assert.equal(next.size, items.length, 'duplicate item');
    this.#commit(next);
  }

  change({ add, replace, remove }: RulesetChange): void {
    const next = new Map(this.#items);
    for (const item of remove) assert.ok(next.delete(itemId(item)), `${itemId(item)} is removed, must be there`);
    for (const item of [...add, ...replace]) {
      assert.equal(next.has(itemId(item)), replace.includes(item), `${itemId(item)} is ${add.includes(item) ? 'added' : 'replaced'}`);
      next.set(itemId(item), item);
    }
    this.#commit(next);
  }

  isThere(): boolean {
    return this.#items !== undefined;
  }

  /** All items, sorted, without comments: the comment of a ClusterIP that two Services claim may name either Service. */
  meaning(): readonly object[] {
    const sorted = [...(this.#items ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([, item]) => ({ ...item, comment: undefined }));
  }

  #commit(next: ReadonlyMap<string, RulesetItem>): void {
    if (this.isAgentKilled) throw new Crash('Killed');
    const missing = [...next.values()].flatMap(needs).filter((id) => !next.has(id));
    assert.deepEqual(missing, [], 'items that other items refer to must exist');
    // Lehmer's generator: the same seed makes the same faults.
    this.#seed = (this.#seed * 48271) % 0x7fffffff;
    if (this.#seed / 0x7fffffff < this.faultRate) throw new RulesetFault('Cannot change table inet weir: try again');
    this.#items = next;
  }
}

/** Ids of items to which an item refers. */
function needs(item: RulesetItem): readonly string[] {
  if (item.kind === 'element') return typeof item.verdict === 'object' ? [`chain ${item.verdict.chain}`] : [];
  if (item.kind === 'memory') return [];
  return item.rules.flatMap((rule) => {
    if (rule.kind === 'translate') assert.ok(rule.backends.length > 0, `${item.name} has no backend`);
    if (rule.kind === 'choose') return rule.chains.map((name) => `chain ${name}`);
    if (rule.kind === 'recall') return [`chain ${rule.chain}`, `memory ${rule.memory}`];
    return rule.kind === 'remember' ? [`memory ${rule.memory}`] : [];
  });
}
