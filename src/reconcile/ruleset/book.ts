import { itemId, type RulesetChange, type RulesetItem } from '../ports/ruleset.ts';

/** The ruleset items that each holder wants, and the items that the kernel holds. */
export interface RulesetBook {
  /** Replaces the items of a holder. */
  hold(holder: string, items: readonly RulesetItem[]): void;
  /** Holders with items that the kernel does not hold as wanted. */
  dirty(): Iterable<string>;
  /** The change that brings the kernel to what these holders want, without pending changes of other holders. Undefined if there is none. */
  changeFor(holders: ReadonlySet<string>): RulesetChange | undefined;
  /** The kernel has taken the change of these holders. */
  changed(holders: ReadonlySet<string>): void;
  /** All items of a holder, or of all holders. */
  wanted(holder?: string): readonly RulesetItem[];
  /** The kernel holds exactly wanted(holder). */
  installed(holder?: string): void;
}

interface Holding {
  readonly holder: string;
  readonly item: RulesetItem;
}

/** A book without holders, for a kernel without items. Uses arrays instead of Maps for the many short lists. */
export function createRulesetBook(): RulesetBook {
  const wantedBy = new Map<string, readonly RulesetItem[]>();
  const holdings = new Map<string, readonly Holding[]>();
  const held = new Map<string, RulesetItem>();
  /** By holder: ids that it began or ceased to want since the kernel last took its change. */
  const pending = new Map<string, Set<string>>();

  const touch = (holder: string, id: string): void => {
    const ids = pending.get(holder) ?? new Set();
    pending.set(holder, ids.add(id));
  };
  const hold = (holder: string, id: string, item: RulesetItem | undefined): void => {
    const others = (holdings.get(id) ?? []).filter((holding) => holding.holder !== holder);
    if (item !== undefined) holdings.set(id, [...others, { holder, item }]);
    else if (others.length > 0) holdings.set(id, others);
    else holdings.delete(id);
    touch(holder, id);
  };
  const itemFor = (id: string, holders: ReadonlySet<string>): RulesetItem | undefined =>
    holdings.get(id)?.find(({ holder }) => holders.has(holder) || !pending.get(holder)?.has(id))?.item;
  const idsOf = (holders: ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...holders].flatMap((holder) => [...(pending.get(holder) ?? [])]));

  return {
    hold(holder, items) {
      const before = byId(wantedBy.get(holder) ?? []);
      const after = byId(items);
      for (const id of before.keys()) if (!after.has(id)) hold(holder, id, undefined);
      for (const [id, item] of after) if (!sameItem(before.get(id), item)) hold(holder, id, item);
      if (after.size > 0) wantedBy.set(holder, [...after.values()]);
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
      holder === undefined ? [...holdings.values()].map(([first]) => (first as Holding).item) : (wantedBy.get(holder) ?? []),
    installed(holder) {
      held.clear();
      pending.clear();
      for (const [id, list] of holdings) {
        const installed = holder === undefined ? list[0] : list.find((holding) => holding.holder === holder);
        if (installed !== undefined) held.set(id, installed.item);
        for (const other of list) if (holder !== undefined && other.holder !== holder) touch(other.holder, id);
      }
    },
  };
}

const byId = (items: readonly RulesetItem[]): ReadonlyMap<string, RulesetItem> => new Map(items.map((item) => [itemId(item), item]));

const sameItem = (a: RulesetItem | undefined, b: RulesetItem | undefined): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
