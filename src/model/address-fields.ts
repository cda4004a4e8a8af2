import { type Address, type Family, familyOf, type Prefix, parseSloppyAddress, parseSloppyPrefix } from '#lib/address.ts';
import { type LocatedFields, show, warn, wrong } from './fields.ts';

/** Scope of an address by its range alone (RFC 6890, RFC 4291). */
export type AddressUse = 'unspecified' | 'loopback' | 'link-local' | 'multicast' | 'global';

/** The scope of an address. */
export function scopeOf(address: Address): AddressUse {
  if (address === '0.0.0.0' || address === '::') return 'unspecified';
  if (address === '::1' || address.startsWith('127.')) return 'loopback';
  if (address.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/.test(address)) return 'link-local';
  return /^(2[23]\d\.|ff[0-9a-f]{2}:)/.test(address) ? 'multicast' : 'global';
}

/** The network in `value`. Undefined, with a warning, if `value` is not a network: kube-proxy ignores it, too (MapCIDRsByIPFamily). */
export function networkOrWarning(place: LocatedFields, key: string, value: string): Prefix | undefined {
  const prefix = parseSloppyPrefix(value);
  if (prefix === undefined) warn(place, key, `is ${show(value)}, not a network, and is left out`);
  return prefix;
}

/**
 * The address in `value`. Undefined, with an error, if `value` is not an address, not a reachable one, or not of `family`.
 */
export function reachableAddress(place: LocatedFields, key: string, value: string, family?: Family): Address | undefined {
  const address = parseSloppyAddress(value);
  if (address === undefined || (family !== undefined && familyOf(address) !== family)) {
    wrong(place, key, value, family === undefined ? 'an IP address' : `an IPv${family} address`);
    return undefined;
  }
  const scope = scopeOf(address);
  if (scope === 'global' || scope === 'link-local') return address;
  wrong(place, key, value, `a reachable address, not ${scope === 'unspecified' ? 'the' : 'a'} ${scope} one`);
  return undefined;
}

/** A reachable address that other machines reach too, so not a link-local one (validation.go, ValidateEndpointIP). */
export function routableAddress(place: LocatedFields, key: string, value: string, family?: Family): Address | undefined {
  const address = reachableAddress(place, key, value, family);
  if (address === undefined || scopeOf(address) === 'global') return address;
  wrong(place, key, value, 'an address that other nodes can reach, not a link-local one');
  return undefined;
}
