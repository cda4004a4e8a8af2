import { type Address, type Family, familyOf, type Prefix, parseSloppyAddress, parseSloppyPrefix } from '#lib/address.ts';
import { networkOrWarning, reachableAddress, routableAddress, scopeOf } from './address-fields.ts';
import { child, children, choice, clip, type LocatedFields, text, texts, warn, wrong } from './fields.ts';
import { type ServiceType, warnUnused } from './service-type.ts';

/** Empty for a headless Service. Applies upstream's ValidateServiceClusterIPsRelatedFields, and requires a port. */
export function decodeClusterIPs(spec: LocatedFields, type: ServiceType, hasPorts: boolean): readonly Address[] {
  const single = text(spec, 'clusterIP');
  const listed = texts(spec, 'clusterIPs');
  if (type === 'ExternalName') {
    if (single !== '' || listed.length > 0) warnUnused(spec, 'clusterIP', type);
    return [];
  }
  const [first] = listed;
  if (single !== '' && first !== undefined && first !== single) wrong(spec, 'clusterIPs[0]', first, `${clip(single)} as in spec.clusterIP`);
  if (single === '' && first !== undefined) wrong(spec, 'clusterIP', undefined, `${clip(first)} as in spec.clusterIPs[0]`);
  if ((first ?? single) === 'None') {
    if (type !== 'ClusterIP') wrong(spec, 'clusterIP', 'None', `an address where spec.type is ${type}`);
    if (listed.length > 1) wrong(spec, 'clusterIPs[1]', listed[1], 'missing where clusterIPs[0] is None');
    return [];
  }
  if (!hasPorts) wrong(spec, 'ports', undefined, 'a list of at least one port');
  if (first !== undefined) return addressesByFamily(spec, listed, (i) => `clusterIPs[${i}]`);
  if (single !== '') return addressesByFamily(spec, [single], () => 'clusterIP');
  warn(spec, 'clusterIP', 'is missing, so there is nothing to proxy; the API server would assign one');
  return [];
}

/** One address per family, in the order of ipFamilies if set. */
function addressesByFamily(spec: LocatedFields, values: readonly string[], keyOf: (i: number) => string): readonly Address[] {
  const families = decodeFamilies(spec);
  const found = new Map<Family, Address>();
  values.forEach((value, i) => {
    const address = reachableAddress(spec, keyOf(i), value, families[i]);
    if (address === undefined) return;
    if (found.has(familyOf(address))) wrong(spec, keyOf(i), value, `of another family than ${found.get(familyOf(address))}`);
    found.set(familyOf(address), address);
  });
  return [...found.values()];
}

function decodeFamilies(spec: LocatedFields): readonly (Family | undefined)[] {
  const names = texts(spec, 'ipFamilies');
  return names.map((name, i) => {
    if (names.indexOf(name) < i) wrong(spec, `ipFamilies[${i}]`, name, `different from ipFamilies[${names.indexOf(name)}]`);
    if (name === 'IPv4') return 4;
    if (name === 'IPv6') return 6;
    wrong(spec, `ipFamilies[${i}]`, name, 'IPv4 or IPv6');
    return undefined;
  });
}

/** Ignores blank entries as kube-proxy does (MapIPsByIPFamily): older API servers accept them. */
export function decodeExternalIPs(spec: LocatedFields): readonly Address[] {
  return texts(spec, 'externalIPs').flatMap((value, i) => {
    if (value.trim() === '') return [];
    return routableAddress(spec, `externalIPs[${i}]`, value) ?? [];
  });
}

/**
 * Addresses of status.loadBalancer. Leaves out unreachable ones with a warning: some load balancers report an address that is valid
 * only on their own machine, which is not an error of the Service.
 */
export function decodeIngress(object: LocatedFields, type: ServiceType): readonly Address[] {
  const loadBalancer = child(child(object, 'status'), 'loadBalancer');
  const ingresses = children(loadBalancer, 'ingress');
  if (type !== 'LoadBalancer') {
    if (ingresses.length > 0) warnUnused(loadBalancer, 'ingress', type);
    return [];
  }
  return ingresses.flatMap((ingress) => {
    const value = text(ingress, 'ip');
    if (choice(ingress, 'ipMode', ['VIP', 'Proxy'], 'VIP') === 'Proxy' || value === '') return [];
    const address = parseSloppyAddress(value);
    const scope = address === undefined ? 'global' : scopeOf(address);
    if (scope === 'global' || scope === 'link-local') return reachableAddress(ingress, 'ip', value) ?? [];
    warn(ingress, 'ip', `is ${value}, a ${scope} address, and is left out`);
    return [];
  });
}

/**
 * Allows blanks around and between ranges, as the API does. Leaves out a range that is not a network while each family of `clusterIPs` has
 * another range. Else it is an error of the Service, because a family without ranges admits every source; kube-proxy admits every source.
 */
export function decodeSourceRanges(spec: LocatedFields, type: ServiceType, clusterIPs: readonly Address[]): readonly Prefix[] {
  const key = 'loadBalancerSourceRanges';
  const values = texts(spec, key);
  if (type !== 'LoadBalancer' && values.length > 0) {
    wrong(spec, key, spec.fields[key], `missing where spec.type is ${type}`);
    return [];
  }
  const read = values.map((value, i) => ({ value, at: `${key}[${i}]`, prefix: parseSloppyPrefix(value) }));
  const ranges = read.flatMap(({ prefix }) => prefix ?? []);
  const open = clusterIPs.map(familyOf).find((family) => ranges.every(({ address }) => familyOf(address) !== family));
  for (const { value, at, prefix } of read) {
    if (prefix !== undefined || value.trim() === '') continue;
    if (open === undefined) networkOrWarning(spec, at, value);
    else wrong(spec, at, value, `a network such as 203.0.113.0/24, because the Service has no other range for IPv${open}`);
  }
  return ranges;
}
