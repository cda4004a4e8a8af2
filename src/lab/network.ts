import {
  type Address,
  addressBytes,
  addressFromBytes,
  type Family,
  familyOf,
  type Prefix,
  parsePrefix,
  prefixContains,
} from '#lib/address.ts';

/** Length of a network whose members reach each other without a router, and the longest that a computed range gets. */
const ON_LINK: Readonly<Record<Family, number>> = { 4: 24, 6: 64 };
const LONGEST_RANGE: Readonly<Record<Family, number>> = { 4: 24, 6: 112 };

/** The on-link network that an address of a node lies in. */
export const networkOf = (address: Address): Prefix => prefixOf(address, ON_LINK[familyOf(address)]);

/** The network of a length that an address lies in; throws for a length that its family has not. */
export const prefixOf = (address: Address, length: number): Prefix => {
  const prefix = parsePrefix(`${address}/${length}`);
  if (prefix === undefined) throw new Error(`Cannot make a network of ${address}: length is ${length}`);
  return prefix;
};

/** The highest unused address of a network, below 255 in the last byte. */
export function freeAddress(network: Prefix, used: ReadonlySet<Address>): Address {
  const bytes = addressBytes(network.address);
  for (let last = 254; last > 0; last--) {
    bytes[15] = last;
    const address = addressFromBytes(bytes);
    if (!used.has(address)) return address;
  }
  throw new Error(`Cannot find a router address in ${network.address}/${network.length}: all are taken`);
}

/** The smallest network of each family that holds all the addresses: IPv4 first. */
export function coveringPrefixes(addresses: readonly Address[]): Prefix[] {
  return ([4, 6] as const).flatMap((family) => {
    const members = addresses.filter((address) => familyOf(address) === family);
    const [first] = members;
    return first === undefined ? [] : [covering(first, members)];
  });
}

function covering(first: Address, members: readonly Address[]): Prefix {
  for (let length = LONGEST_RANGE[familyOf(first)]; ; length--) {
    const prefix = prefixOf(first, length);
    if (members.every((address) => prefixContains(prefix, address))) return prefix;
  }
}
