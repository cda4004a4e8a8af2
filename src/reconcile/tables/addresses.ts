import type { Address } from '#lib/address.ts';

/** Which holders need an entry of table `addresses`, and with which flags. */
export interface AddressBook {
  /** `holder` now needs these ADDRESS_* bits on the addresses `after`, and no longer on the addresses `before`. */
  hold(holder: string, flags: number, before: Iterable<Address>, after: Iterable<Address>): void;
  holders(address: Address): Iterable<string>;
  /** ADDRESS_* bits that an address should have; 0 = no entry. */
  flagsOf(address: Address): number;
  /** Addresses whose holders have changed; the writer deletes each that it has written. */
  readonly dirty: Set<Address>;
  /** Keeps the entries that the kernel holds until forgetFound(). */
  find(found: ReadonlyMap<Address, number>): void;
  forgetFound(): void;
}

const FOUND = 'found';

/** A book without holders. */
export function createAddressBook(): AddressBook {
  const flagsByHolder = new Map<Address, Map<string, number>>();
  const dirty = new Set<Address>();
  let found: readonly Address[] = [];

  const take = (holder: string, flags: number, address: Address): void => {
    const holders = flagsByHolder.get(address) ?? new Map<string, number>();
    flagsByHolder.set(address, holders.set(holder, flags));
    dirty.add(address);
  };
  const drop = (holder: string, address: Address): void => {
    const holders = flagsByHolder.get(address);
    holders?.delete(holder);
    if (holders?.size === 0) flagsByHolder.delete(address);
    dirty.add(address);
  };
  const forgetFound = (): void => {
    for (const address of found) drop(FOUND, address);
    found = [];
  };

  return {
    hold(holder, flags, before, after) {
      const kept = new Set(after);
      const old = new Set(before);
      for (const address of old) if (!kept.has(address)) drop(holder, address);
      for (const address of kept) if (!old.has(address)) take(holder, flags, address);
    },
    holders: (address) => flagsByHolder.get(address)?.keys() ?? [],
    flagsOf(address) {
      let flags = 0;
      for (const held of flagsByHolder.get(address)?.values() ?? []) flags |= held;
      return flags;
    },
    dirty,
    find(actual) {
      forgetFound();
      for (const [address, flags] of actual) take(FOUND, flags, address);
      for (const address of flagsByHolder.keys()) dirty.add(address);
      found = [...actual.keys()];
    },
    forgetFound,
  };
}
