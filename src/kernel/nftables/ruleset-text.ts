import { type Family, formatPrefix } from '#lib/address.ts';
import type { RulesetChain, RulesetChange, RulesetElement, RulesetItem, RulesetRule, Verdict } from '#reconcile/ports/ruleset.ts';

/** What the table holds whatever the Services. */
export interface RulesetOptions {
  /** One bit of skb->mark: a packet that carries it is refused. */
  readonly rejectMark: number;
  /** Bit of ct->mark on translated flows. */
  readonly conntrackMark: number;
  /** Forwarded packets that conntrack calls invalid are dropped. */
  readonly dropInvalid: boolean;
  /** And so are this node's resets that answer such packets. */
  readonly dropResets: boolean;
}

const ofBoth = (text: (family: Family, ip: 'ip' | 'ip6') => string): string => `${text(4, 'ip')}${text(6, 'ip6')}`;

/** `#` stands for `ipv4_addr` or `ipv6_addr`. */
const SETS: readonly (readonly [name: string, type: string, comment: string])[] = [
  ['cluster_ips', '#', 'live ClusterIPs: ports that they lack are refused'],
  ['node_addresses', '#', 'NodePorts answer here'],
  ['local_nets', '#; flags interval', 'sources that are pods'],
  ['service_cidrs', '#; flags interval', 'Service addresses: those that nobody owns are dropped'],
  ['hairpin', '# . #', 'a backend that calls itself'],
  ['sctp_local', '# . inet_service : verdict', 'SCTP Services for pods and this node'],
  ['sctp_outside', '# . inet_service : verdict', 'SCTP Services for everybody else'],
  ['sctp_node_ports_local', 'inet_service : verdict', 'SCTP NodePorts for pods and this node'],
  ['sctp_node_ports_outside', 'inet_service : verdict', 'SCTP NodePorts for everybody else'],
  ['sctp_ranged', '# . inet_service : verdict', 'SCTP Services with source ranges'],
  ['snat_local', '# . inet_service : verdict', 'whether pods are shown under an address of this node'],
  ['snat_outside', '# . inet_service : verdict', 'whether others are shown under an address of this node'],
  ['snat_node_ports_local', 'inet_service : verdict', 'the same for NodePorts and pods'],
  ['snat_node_ports_outside', 'inet_service : verdict', 'the same for NodePorts and others'],
];

const setText = ([name, type, comment]: (typeof SETS)[number]): string =>
  ofBoth(
    (family) => `
  ${type.endsWith(': verdict') ? 'map' : 'set'} ${name}${family} { type ${type.replaceAll('#', `ipv${family}_addr`)}; comment "${comment}"; }`,
  );

const lookUp = (side: 'local' | 'outside'): string =>
  ofBoth(
    (family, ip) => `
    ${ip} daddr . sctp dport vmap @sctp_${side}${family}
    ${ip} daddr @node_addresses${family} sctp dport vmap @sctp_node_ports_${side}${family}`,
  );

const lookUpSource = (side: 'local' | 'outside'): string =>
  ofBoth(
    (family, ip) => `
    meta l4proto sctp ct original ${ip} daddr . ct original proto-dst vmap @snat_${side}${family}
    meta l4proto sctp ct original ${ip} daddr @node_addresses${family} ct original proto-dst vmap @snat_node_ports_${side}${family}`,
  );

const isPod = (chain: string): string => `${ofBoth(
  (family, ip) => `
    ${ip} saddr @local_nets${family} goto ${chain}`,
)}
    iif @pod_devices goto ${chain}`;

/**
 * NAT chains see the first packet of a flow only, so what they look up costs nothing later. The kernel tracks and translates flows of
 * the programs only where nat chains exist and something refers to conntrack: hence a rule that looks at the state and decides nothing.
 * The rest is for SCTP, which the programs leave alone. Source ranges are looked at before the destination is translated; whether the
 * flow gets a new source is decided by what the client dialled; all carry the mark of translated flows. The node's own always get one: theirs was chosen for the way to
 * the Service address.
 */
const natText = ({ conntrackMark }: RulesetOptions): string => `
  chain nat_prerouting {
    type nat hook prerouting priority -100; policy accept
    ct state new counter comment "turns connection tracking on"
    meta l4proto sctp jump sctp_ranges
    meta l4proto sctp goto sctp_packets
  }
  chain nat_input { type nat hook input priority 100; policy accept; }
  chain nat_output {
    type nat hook output priority -100; policy accept
    meta l4proto sctp jump sctp_ranges
    meta l4proto sctp goto sctp_local
  }
  chain nat_postrouting {
    type nat hook postrouting priority 100; policy accept
    meta l4proto sctp ct status dnat goto sctp_source
  }
  chain sctp_ranges {${ofBoth(
    (family, ip) => `
    ${ip} daddr . sctp dport vmap @sctp_ranged${family}`,
  )}
  }
  chain sctp_packets {${isPod('sctp_local')}
    goto sctp_outside
  }
  chain sctp_local {${lookUp('local')}
  }
  chain sctp_outside {${lookUp('outside')}
  }
  chain sctp_source {
    ct mark set ct mark | 0x${conntrackMark.toString(16)}
    fib saddr type local masquerade comment "this node's own"${ofBoth(
      (family, ip) => `
    ${ip} saddr . ${ip} daddr @hairpin${family} masquerade fully-random`,
    )}${isPod('sctp_source_local')}
    goto sctp_source_outside
  }
  chain sctp_masquerade { masquerade fully-random; }
  chain sctp_source_local {${lookUpSource('local')}
  }
  chain sctp_source_outside {${lookUpSource('outside')}
  }`;

/**
 * The programs mark what is to be refused; it is answered in prerouting, where no route to the Service address is needed. Priorities:
 * what nobody translated shows at -90, 10 behind dstnat (-100). Conntrack calls an error or a reply for a flow that it knows `related`
 * or `established`, others `invalid`: neither is refused. SCTP ends an association that is being set up for "protocol unreachable"
 * only (RFC 9260, 10, ICMP6; net/sctp/input.c); nft has no such error over IPv6.
 * Packets that conntrack calls invalid are not translated back, so the client would answer them with a reset:
 * https://kubernetes.io/blog/2019/03/29/kube-proxy-subtleties-debugging-an-intermittent-connection-reset/. Where the source was
 * translated it is this node that would: such a reset has no ACK (RFC 9293, 3.10.7.1) and belongs to no flow.
 */
const filterText = ({ rejectMark, dropInvalid, dropResets }: RulesetOptions): string => `
  chain refuse {
    meta l4proto tcp counter reject with tcp reset comment "Service without endpoints, or a port that it lacks"
    meta l4proto sctp counter reject with icmp type prot-unreachable comment "the one error that SCTP over IPv4 heeds"
    counter reject comment "Service without endpoints, or a port that it lacks"
  }
  chain marked {
    type filter hook prerouting priority -150; policy accept
    meta mark & 0x${rejectMark.toString(16)} == 0x${rejectMark.toString(16)} goto refuse
  }
  chain untranslated_prerouting { type filter hook prerouting priority -90; policy accept; ct state new goto untranslated; }
  chain untranslated_output {
    type filter hook output priority -90; policy accept
    ct state new goto untranslated${
      dropResets
        ? `
    ct state invalid tcp flags & (rst | ack) == rst counter drop comment "answers a packet that came here untranslated"`
        : ''
    }
  }
  chain untranslated {${ofBoth(
    (family, ip) => `
    ${ip} daddr @cluster_ips${family} goto refuse
    ${ip} daddr @service_cidrs${family} counter drop comment "no Service owns this address"`,
  )}
  }${
    dropInvalid
      ? `
  chain forward {
    type filter hook forward priority 0; policy accept
    ct state invalid meta l4proto { tcp, sctp } counter drop comment "would reach the client untranslated"
  }`
      : ''
  }`;

/** The table as it is before any Service is in it. */
export const rulesetText = (options: RulesetOptions): string => `table inet weir {
  comment "weir: Services over SCTP, refusals, and what its packet programs need of netfilter"${SETS.map(setText).join('')}
  set pod_devices { type iface_index; comment "what enters here comes from pods"; }${filterText(options)}${natText(options)}
}
`;

/** Commands of one transaction; nft follows their order, so nothing is named before it exists or removed while it is used. */
export function changeText({ add, replace, remove }: RulesetChange): string {
  const chains = (items: readonly RulesetItem[]) => items.filter((item) => item.kind === 'chain');
  const memories = (items: readonly RulesetItem[]) => items.filter((item) => item.kind === 'memory');
  const written = [...chains(add), ...chains(replace)];
  return [
    ...memories(add).map(({ name, family }) => `add set inet weir ${name} { type ipv${family}_addr; flags dynamic,timeout; }`),
    ...chains(add).map(({ name }) => `add chain inet weir ${name}`),
    ...[...chains(replace), ...chains(remove)].map(({ name }) => `flush chain inet weir ${name}`),
    ...elementCommands('delete', [...replace, ...remove], (element) => element.key),
    ...written.flatMap((chain) =>
      chain.rules.flatMap((rule) => ruleTexts(rule, chain)).map((text) => `add rule inet weir ${chain.name} ${text}`),
    ),
    ...elementCommands('add', [...add, ...replace], elementText),
    ...memories(remove).map(({ name }) => `delete set inet weir ${name}`),
    ...chains(remove).map(({ name }) => `delete chain inet weir ${name}`),
  ].join('\n');
}

function elementCommands(verb: 'add' | 'delete', items: readonly RulesetItem[], text: (element: RulesetElement) => string): string[] {
  const bySet = new Map<string, string[]>();
  for (const item of items) {
    if (item.kind !== 'element') continue;
    const texts = bySet.get(item.set);
    if (texts === undefined) bySet.set(item.set, [text(item)]);
    else texts.push(text(item));
  }
  return [...bySet].map(([set, texts]) => `${verb} element inet weir ${set} { ${texts.join(', ')} }`);
}

const elementText = ({ key, verdict, comment }: RulesetElement): string =>
  [key, comment === undefined ? '' : `comment "${commentText(comment)}"`, verdict === undefined ? '' : `: ${verdictText(verdict)}`]
    .filter((part) => part !== '')
    .join(' ');

const VERDICT_TEXTS = { drop: 'drop', accept: 'accept', refuse: 'goto refuse', masquerade: 'goto sctp_masquerade' };

const verdictText = (verdict: Verdict): string => (typeof verdict === 'object' ? `goto ${verdict.chain}` : VERDICT_TEXTS[verdict]);

/** nft takes 128 bytes, the zero at the end included, and no quotation marks. */
const commentText = (text: string): string => text.replace(/[^ -~]|["\\]/g, '?').slice(0, 127);

/** Without one the kernel draws another for each rule, and again when the table is replaced. */
const SEED = 'seed 0x77656972';

function ruleTexts(rule: RulesetRule, { family }: RulesetChain): readonly string[] {
  const ip = family === 4 ? 'ip' : 'ip6';
  switch (rule.kind) {
    case 'translate': {
      const places = rule.backends.map(({ address, port }, i) => `${i} : ${address} . ${port}`);
      const number = rule.by === 'chance' ? `numgen random mod ${places.length}` : `jhash ${ip} saddr mod ${places.length} ${SEED}`;
      return [`meta l4proto sctp dnat ${ip} to ${number} map { ${places.join(', ')} }`];
    }
    case 'choose':
      return [`numgen random mod ${rule.chains.length} vmap { ${rule.chains.map((chain, i) => `${i} : goto ${chain}`).join(', ')} }`];
    case 'recall':
      return [`${ip} saddr @${rule.memory} goto ${rule.chain}`];
    case 'remember':
      return [`update @${rule.memory} { ${ip} saddr timeout ${rule.seconds}s }`];
    case 'admit':
      return [...rule.prefixes.map((prefix) => `${ip} saddr ${formatPrefix(prefix)} return`), 'counter drop'];
  }
}
