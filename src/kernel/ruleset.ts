import { type Family, familyOf, formatPrefix, type Prefix } from '#lib/address.ts';
import { NftError, runNft } from './libnftables.ts';

export interface RulesetOptions {
  /** One bit of skb->mark: a packet that carries it is refused. */
  readonly rejectMark: number;
  /** Networks of Service addresses: new flows to an address there that nobody translated are dropped. */
  readonly serviceCIDRs: readonly Prefix[];
}

/**
 * Installs or replaces table `inet weir` in this network namespace, in one transaction. It has what the packet programs need of
 * netfilter and no rule for any single Service.
 */
export function installRuleset(options: RulesetOptions): void {
  // Added first, so that deleting it is no error the first time.
  runNft(`add table inet weir\ndelete table inet weir\n${rulesetText(options)}`);
}

/** Replaces the networks of Service addresses; rules and their counters stay. */
export function replaceServiceCIDRs(serviceCIDRs: readonly Prefix[]): void {
  const commands = ([4, 6] as const).flatMap((family) => {
    const prefixes = elements(family, serviceCIDRs);
    const flush = `flush set inet weir service_cidrs${family}`;
    return prefixes === '' ? [flush] : [flush, `add element inet weir service_cidrs${family} { ${prefixes} }`];
  });
  runNft(commands.join('\n'));
}

/** Reduces table `inet weir` to what translates flows that live already: their packets and replies go on. */
export function keepTranslation(): void {
  runNft(
    `add table inet weir\ndelete table inet weir\ntable inet weir {\n  comment "weir: kept for flows that it translated"${NAT_CHAINS}\n}\n`,
  );
}

/** Removes table `inet weir` from this network namespace. Says whether it was there. */
export function removeRuleset(): boolean {
  if (!hasRuleset()) return false;
  runNft('delete table inet weir');
  return true;
}

/** Whether table `inet weir` is in this network namespace. */
export function hasRuleset(): boolean {
  try {
    runNft('list table inet weir');
    return true;
  } catch (error) {
    if (error instanceof NftError && error.message.includes('No such file or directory')) return false;
    throw error;
  }
}

const elements = (family: Family, prefixes: readonly Prefix[]): string =>
  prefixes
    .filter((prefix) => familyOf(prefix.address) === family)
    .map(formatPrefix)
    .join(', ');

const cidrSet = (family: Family, serviceCIDRs: readonly Prefix[]): string => {
  const prefixes = elements(family, serviceCIDRs);
  return `set service_cidrs${family} {
    type ipv${family}_addr
    flags interval
    auto-merge
    comment "Service addresses, IPv${family}"
    ${prefixes === '' ? '' : `elements = { ${prefixes} }`}
  }`;
};

const dropUnowned = `
    ct state new ip daddr @service_cidrs4 counter drop comment "no Service owns this address"
    ct state new ip6 daddr @service_cidrs6 counter drop comment "no Service owns this address"`;

const NAT_CHAINS = `
  chain nat_prerouting {
    type nat hook prerouting priority -100; policy accept
    ct state new counter comment "turns connection tracking on, decides nothing"
  }
  chain nat_input { type nat hook input priority 100; policy accept; }
  chain nat_output { type nat hook output priority -100; policy accept; }
  chain nat_postrouting { type nat hook postrouting priority 100; policy accept; }`;

/**
 * The kernel tracks and translates flows of the programs only where nat chains exist and something refers to conntrack: so the
 * nat chains, and in one of them a rule that looks at the state and decides nothing (nat chains see a flow's first packet only).
 * The programs mark what is to be refused; it is answered in prerouting, where no route to the Service address is needed.
 * Priorities: 10 behind dstnat (-100), where destinations are translated.
 */
export function rulesetText({ rejectMark, serviceCIDRs }: RulesetOptions): string {
  const mark = `0x${rejectMark.toString(16)}`;
  return `table inet weir {
  comment "weir: what its packet programs need of netfilter"
  ${cidrSet(4, serviceCIDRs)}
  ${cidrSet(6, serviceCIDRs)}${NAT_CHAINS}
  chain refuse {
    type filter hook prerouting priority -150; policy accept
    meta mark & ${mark} != ${mark} accept comment "not marked for refusal"
    meta l4proto tcp counter reject with tcp reset comment "Service without endpoints, or a port that it lacks"
    counter reject comment "Service without endpoints, or a port that it lacks"
  }
  chain unowned_prerouting {
    type filter hook prerouting priority -90; policy accept${dropUnowned}
  }
  chain unowned_output {
    type filter hook output priority -90; policy accept${dropUnowned}
  }
}
`;
}
