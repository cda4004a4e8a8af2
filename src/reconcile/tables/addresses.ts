import type { Address } from '#lib/address.ts';

/** ADDRESS_* bits by address. */
export type Meanings = ReadonlyMap<Address, number>;

/** Which holders need an entry of table `addresses`, and with which flags. */
export interface AddressBook {
  /** `holder` now needs the ADDRESS_* bits of `after`, and no longer the bits of `before`. */
  hold(holder: string, before: Meanings, after: Meanings): void;
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
    hold(holder, before, after) {
      for (const address of before.keys()) if (!after.has(address)) drop(holder, address);
      for (const [address, flags] of after) if (before.get(address) !== flags) take(holder, flags, address);
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
