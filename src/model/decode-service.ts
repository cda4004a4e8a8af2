import { type Address, type Family, familyOf, type Prefix } from '#lib/address.ts';
import { parseApiAddress, parseApiPrefix, reachableAddress, scopeOf } from './address-fields.ts';
import { decodeServicePorts } from './decode-service-ports.ts';
import { child, children, choice, integer, type Place, text, texts, warn, wrong } from './fields.ts';
import { hasLabel, readMetadata } from './metadata.ts';
import type { Service } from './service.ts';

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;
const POLICIES = ['Cluster', 'Local'] as const;
const LEFT_TO_OTHERS = ['service.kubernetes.io/headless', 'service.kubernetes.io/service-proxy-name'];

/** v1 Service. What is wrong goes into the report of `object`; the result counts only while that has no errors. */
export function decodeService(object: Place): Service {
  const metadata = readMetadata(object, 'Service');
  const spec = child(object, 'spec');
  const ports = decodeServicePorts(spec);
  const clusterIPs = choice(spec, 'type', TYPES, 'ClusterIP') === 'ExternalName' ? [] : decodeClusterIPs(spec, ports.length > 0);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    createdAt: metadata.createdAt,
    proxied: clusterIPs.length > 0 && !LEFT_TO_OTHERS.some((label) => hasLabel(metadata, label)),
    clusterIPs,
    externalIPs: decodeExternalIPs(spec),
    loadBalancerIPs: decodeIngress(child(child(object, 'status'), 'loadBalancer')),
    sourceRanges: decodeSourceRanges(spec),
    ports,
    internalTrafficPolicy: choice(spec, 'internalTrafficPolicy', POLICIES, 'Cluster'),
    externalTrafficPolicy: choice(spec, 'externalTrafficPolicy', POLICIES, 'Cluster'),
    affinitySeconds: decodeAffinity(spec),
  };
}

/** None for a headless Service. The rules of upstream's ValidateServiceClusterIPsRelatedFields, and that of a port. */
function decodeClusterIPs(spec: Place, hasPorts: boolean): readonly Address[] {
  const single = text(spec, 'clusterIP');
  const listed = texts(spec, 'clusterIPs');
  if (single !== '' && listed.length > 0 && listed[0] !== single) wrong(spec, 'clusterIPs[0]', listed[0], `${single} as in spec.clusterIP`);
  if ((listed[0] ?? single) === 'None') {
    if (listed.length > 1) wrong(spec, 'clusterIPs[1]', listed[1], 'missing where clusterIPs[0] is None');
    return [];
  }
  if (!hasPorts) wrong(spec, 'ports', undefined, 'a list of at least one port');
  if (listed.length > 0) return addressesByFamily(spec, listed, (i) => `clusterIPs[${i}]`);
  if (single !== '') return addressesByFamily(spec, [single], () => 'clusterIP');
  warn(spec, 'clusterIP', 'is missing, so there is nothing to proxy; the API server would assign one');
  return [];
}

/** One address a family, in the order of ipFamilies where that is given. */
function addressesByFamily(spec: Place, values: readonly string[], keyOf: (i: number) => string): readonly Address[] {
  const families = texts(spec, 'ipFamilies');
  const found = new Map<Family, Address>();
  values.forEach((value, i) => {
    const address = reachableAddress(spec, keyOf(i), value, familyNamed(spec, `ipFamilies[${i}]`, families[i]));
    if (address === undefined) return;
    if (found.has(familyOf(address))) wrong(spec, keyOf(i), value, `of another family than ${found.get(familyOf(address))}`);
    found.set(familyOf(address), address);
  });
  return [...found.values()];
}

function familyNamed(spec: Place, key: string, name: string | undefined): Family | undefined {
  if (name === 'IPv4') return 4;
  if (name === 'IPv6') return 6;
  if (name !== undefined) wrong(spec, key, name, 'IPv4 or IPv6');
  return undefined;
}

/** Blank entries are tolerated as kube-proxy does (MapIPsByIPFamily): older API servers let them in. */
function decodeExternalIPs(spec: Place): readonly Address[] {
  return texts(spec, 'externalIPs').flatMap((value, i) => {
    if (value.trim() === '') return [];
    return reachableAddress(spec, `externalIPs[${i}]`, value) ?? [];
  });
}

/** Some load balancers report an address that only means something on the machine they run on: not an error of the Service. */
function decodeIngress(loadBalancer: Place): readonly Address[] {
  return children(loadBalancer, 'ingress').flatMap((ingress) => {
    const value = text(ingress, 'ip');
    if (choice(ingress, 'ipMode', ['VIP', 'Proxy'], 'VIP') === 'Proxy' || value === '') return [];
    const address = parseApiAddress(value);
    const scope = address === undefined ? 'global' : scopeOf(address);
    if (scope === 'global' || scope === 'link-local') return reachableAddress(ingress, 'ip', value) ?? [];
    warn(ingress, 'ip', `is ${value}, a ${scope} address, and is left out`);
    return [];
  });
}

/** Blanks around and between ranges are tolerated, as the API does. */
function decodeSourceRanges(spec: Place): readonly Prefix[] {
  return texts(spec, 'loadBalancerSourceRanges').flatMap((value, i) => {
    if (value.trim() === '') return [];
    const prefix = parseApiPrefix(value);
    if (prefix === undefined) wrong(spec, `loadBalancerSourceRanges[${i}]`, value, 'a network such as 203.0.113.0/24');
    return prefix ?? [];
  });
}

function decodeAffinity(spec: Place): number {
  if (choice(spec, 'sessionAffinity', ['None', 'ClientIP'], 'None') === 'None') return 0;
  return integer(child(child(spec, 'sessionAffinityConfig'), 'clientIP'), 'timeoutSeconds', 1, 86400, 10800);
}
