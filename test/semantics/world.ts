/** Places of all scenarios, with upstream's address plan (pkg/proxy/nftables/proxier_test.go). */
import { type Address, type Family, parseAddress } from '#lib/address.ts';

export interface Place {
  readonly name: string;
  readonly kind: 'pod' | 'node' | 'outside';
  /** Node of a pod; a node's own name; empty for outside clients. */
  readonly node: string;
  readonly addresses: Readonly<Record<Family, Address>>;
}

/** Networks of pods and of Services, for flags. */
export const CLUSTER_CIDR = '10.0.0.0/8';
export const SERVICE_CIDR = '172.30.0.0/16';

/** Pods of each node, and the start of their addresses. */
const POD_NETWORKS: Readonly<Record<string, { readonly letter: string; readonly network: string }>> = {
  n1: { letter: 'a', network: '10.180.0' },
  n2: { letter: 'b', network: '10.180.1' },
};

const NODE_ADDRESSES: Readonly<Record<string, string>> = { n1: '192.168.0.2', n2: '192.168.0.3' };
const OUTSIDE_ADDRESSES: Readonly<Record<string, string>> = { outside: '203.0.113.2', blocked: '203.0.113.130' };

const IPV4 = /\b(\d{1,3}(?:\.\d{1,3}){3})(?:\/(\d{1,2}))?/g;

/** Every pod, node and client. */
export const PLACES: readonly Place[] = [
  ...Object.entries(NODE_ADDRESSES).map(([name, ip]) => place(name, 'node', name, ip)),
  ...Object.entries(POD_NETWORKS).flatMap(([node, { letter, network }]) =>
    [1, 2, 3].map((n) => place(`${letter}${n}`, 'pod', node, `${network}.${n}`)),
  ),
  ...Object.entries(OUTSIDE_ADDRESSES).map(([name, ip]) => place(name, 'outside', '', ip)),
];

/** The place of a name. */
export const placeOf = (name: string): Place | undefined => PLACES.find((one) => one.name === name);

/** Range of the pods of a node, IPv4. */
export const podCidr = (node: string): string => `${POD_NETWORKS[node]?.network}.0/24`;

/** The IPv6 twin of a text: `10.0.0.0/8` becomes `fd00::a00:0/104`. A text without an IPv4 address stays unchanged. */
export function twin(text: string): string {
  return text.replace(IPV4, (all, ip: string, length: string | undefined) => {
    const address = ip.startsWith('127.') ? '::1' : parseAddress(`fd00::${ip}`);
    if (address === undefined) return all;
    if (length === undefined) return address;
    if (length === '0') return '::/0';
    return address === '::1' ? '::1/128' : `${address}/${96 + Number(length)}`;
  });
}

/** An IPv4 address or its twin, by family. Throws if `ip` is not an IPv4 address. */
export function inFamily(ip: string, family: Family): Address {
  const address = parseAddress(family === 4 ? ip : twin(ip));
  if (address === undefined) throw new Error(`Address is ${ip}, must be an IPv4 address`);
  return address;
}

function place(name: string, kind: Place['kind'], node: string, ip: string): Place {
  return { name, kind, node, addresses: { 4: inFamily(ip, 4), 6: inFamily(ip, 6) } };
}
