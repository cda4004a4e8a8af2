import { itemId, type RulesetChange, type RulesetItem } from './ruleset.ts';

/** Who wants which items of the ruleset, and what the kernel holds. */
export interface RulesetBook {
  /** Replaces what a holder wants. */
  hold(holder: string, items: readonly RulesetItem[]): void;
  /** Holders of whom something is not in the kernel as they want it. */
  dirty(): Iterable<string>;
  /** What brings the kernel to what these holders want; what others want anew is left out. Undefined if it is so already. */
  changeFor(holders: ReadonlySet<string>): RulesetChange | undefined;
  /** The kernel has taken changeFor() of these holders. */
  changed(holders: ReadonlySet<string>): void;
  /** Everything that holders want; of all of them where none are named. */
  wanted(holder?: string): readonly RulesetItem[];
  /** The kernel has nothing but what wanted() says. */
  installed(holder?: string): void;
}

/** A book of a kernel that holds nothing. */
export function createRulesetBook(): RulesetBook {
  const wantedBy = new Map<string, ReadonlyMap<string, RulesetItem>>();
  const holdersOf = new Map<string, Map<string, RulesetItem>>();
  const held = new Map<string, RulesetItem>();
  /** By holder, ids that it began or ceased to want since the kernel last followed it. */
  const pending = new Map<string, Set<string>>();

  const touch = (holder: string, id: string): void => {
    const ids = pending.get(holder) ?? new Set();
    pending.set(holder, ids.add(id));
  };
  const take = (holder: string, id: string, item: RulesetItem): void => {
    const holders = holdersOf.get(id) ?? new Map<string, RulesetItem>();
    holdersOf.set(id, holders.set(holder, item));
    touch(holder, id);
  };
  const drop = (holder: string, id: string): void => {
    const holders = holdersOf.get(id);
    holders?.delete(holder);
    if (holders?.size === 0) holdersOf.delete(id);
    touch(holder, id);
  };
  const itemFor = (id: string, holders: ReadonlySet<string>): RulesetItem | undefined => {
    for (const [holder, item] of holdersOf.get(id) ?? []) if (holders.has(holder) || !pending.get(holder)?.has(id)) return item;
    return undefined;
  };
  const idsOf = (holders: ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...holders].flatMap((holder) => [...(pending.get(holder) ?? [])]));

  return {
    hold(holder, items) {
      const before = wantedBy.get(holder);
      const after = new Map(items.map((item) => [itemId(item), item]));
      for (const id of before?.keys() ?? []) if (!after.has(id)) drop(holder, id);
      for (const [id, item] of after) if (!sameItem(before?.get(id), item)) take(holder, id, item);
      if (after.size > 0) wantedBy.set(holder, after);
      else wantedBy.delete(holder);
    },
    dirty: () => pending.keys(),
    changeFor(holders) {
      const change = { add: [] as RulesetItem[], replace: [] as RulesetItem[], remove: [] as RulesetItem[] };
      for (const id of idsOf(holders)) {
        const [before, after] = [held.get(id), itemFor(id, holders)];
        if (sameItem(before, after)) continue;
        if (after === undefined) change.remove.push(before as RulesetItem);
        else (before === undefined ? change.add : change.replace).push(after);
      }
      return change.add.length + change.replace.length + change.remove.length > 0 ? change : undefined;
    },
    changed(holders) {
      for (const id of idsOf(holders)) {
        const item = itemFor(id, holders);
        if (item === undefined) held.delete(id);
        else held.set(id, item);
      }
      for (const holder of holders) pending.delete(holder);
    },
    wanted: (holder) =>
      holder === undefined
        ? [...holdersOf.values()].map((holders) => [...holders.values()][0] as RulesetItem)
        : [...(wantedBy.get(holder)?.values() ?? [])],
    installed(holder) {
      held.clear();
      pending.clear();
      for (const [id, holders] of holdersOf) {
        const item = holder === undefined ? [...holders.values()][0] : holders.get(holder);
        if (item !== undefined) held.set(id, item);
        if (holder === undefined) continue;
        for (const other of holders.keys()) if (other !== holder) touch(other, id);
      }
    },
  };
}

const sameItem = (a: RulesetItem | undefined, b: RulesetItem | undefined): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
