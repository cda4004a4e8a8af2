import { ADDRESS_CLUSTER_IP, ADDRESS_NODE } from '#abi/generated.ts';
import type { Family } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { countUnlisted } from '../flows/flows.ts';
import type { NodeFacts } from '../tables/node-tables.ts';
import { type AddressBook, createAddressBook } from './addresses.ts';
import { type Claims, createClaims, identityOf } from './claims.ts';

/** The node's own tables among the holders, which else are identities of Service ports. */
export const NODE = 'node';

/** What a plan is known by; a PortPlan is one. */
export interface PortKey {
  readonly name: string;
  readonly family: Family;
}

/** What should be, and for whom that has changed since the last flush. */
export interface Desired {
  want(key: PortKey, plan: PortPlan | undefined): void;
  wantNode(facts: NodeFacts): void;
  /** By identity. */
  readonly targets: ReadonlyMap<string, PortPlan>;
  facts(): NodeFacts | undefined;
  readonly claims: Claims;
  readonly addresses: AddressBook;
  /** Identities, and NODE. */
  readonly dirty: Set<string>;
  touchAll(): void;
  /** How many unlisted endpoints have stopped to serve since the last call. */
  takeUnlistedLosses(): number;
}

/** Nothing wanted yet. */
export function createDesired(): Desired {
  const plans = new Map<string, PortPlan>();
  const targets = new Map<string, PortPlan>();
  const dirty = new Set<string>();
  const claims = createClaims();
  const addresses = createAddressBook();
  let facts: NodeFacts | undefined;
  let unlistedLosses = 0;

  const replaceTarget = (before: PortPlan | undefined, after: PortPlan | undefined): void => {
    const old = before && identityOf(before);
    const fresh = after && identityOf(after);
    if (old !== undefined && old !== fresh) {
      targets.delete(old);
      dirty.add(old);
      addresses.hold(old, ADDRESS_CLUSTER_IP, before?.clusterIPs ?? [], []);
    }
    if (after === undefined || fresh === undefined) return;
    targets.set(fresh, after);
    dirty.add(fresh);
    addresses.hold(fresh, ADDRESS_CLUSTER_IP, old === fresh ? (before?.clusterIPs ?? []) : [], after.clusterIPs);
  };

  return {
    want(key, plan) {
      const text = `${key.family} ${key.name}`;
      const before = plans.get(text);
      if (plan === undefined) plans.delete(text);
      else plans.set(text, plan);
      for (const identity of claims.replace(before, plan)) dirty.add(identity);
      replaceTarget(before, plan);
      unlistedLosses += countUnlisted(before, plan);
    },
    wantNode(next) {
      addresses.hold(NODE, ADDRESS_NODE, facts?.nodeAddresses ?? [], next.nodeAddresses);
      facts = next;
      dirty.add(NODE);
    },
    targets,
    facts: () => facts,
    claims,
    addresses,
    dirty,
    touchAll() {
      for (const identity of targets.keys()) dirty.add(identity);
      dirty.add(NODE);
    },
    takeUnlistedLosses() {
      const taken = unlistedLosses;
      unlistedLosses = 0;
      return taken;
    },
  };
}

/** The Service port that a holder stands for (undefined = the node), and both in words. */
export function subjectOf(holder: string, wordsForNode: string): { readonly port: string | undefined; readonly words: string } {
  if (holder === NODE) return { port: undefined, words: wordsForNode };
  const [, port = holder, family] = /^(.*) (\d+) \d+$/.exec(holder) ?? [];
  return { port, words: `Service "${port}"${family === undefined ? '' : ` over IPv${family}`}` };
}
