import { createHash } from 'node:crypto';
import { TAG_BACKEND, TAG_MASK, TAG_OF_WEIR, TAG_REFUSED, TAG_SNAT } from '#abi/generated.ts';

/** What the table holds whatever the Services. */
export interface RulesetOptions {
  /** Bit of ct->mark on translated flows. */
  readonly conntrackMark: number;
  /** Another bit of ct->mark, on flows that get an address of the node as their source. */
  readonly masqueradeMark: number;
  /** Drop forwarded packets that conntrack calls invalid. */
  readonly dropInvalid: boolean;
  /** Drop resets of this node that answer such packets. */
  readonly dropResets: boolean;
}

/**
 * The kernel tracks and translates flows of the programs only where nat chains exist and something refers to conntrack: hence a rule that looks
 * at the state and decides nothing. NAT chains see the first packet of a flow only, so their look-ups cost nothing later.
 */
export const NAT_HOOKS = `
table inet weir {
  chain nat_prerouting {
    type nat hook prerouting priority -100; policy accept
    ct state new counter comment "turns connection tracking on, decides nothing"
  }
  chain nat_input {
    type nat hook input priority 100; policy accept
  }
  chain nat_output {
    type nat hook output priority -100; policy accept
  }
  chain nat_postrouting {
    type nat hook postrouting priority 100; policy accept
  }
}
`;

const SETS = `
table inet weir {
  # Elements follow the Services and the node; see src/reconcile/ruleset.
  set cluster_ips4 { type ipv4_addr; comment "live ClusterIPs: ports that they lack are refused"; }
  set cluster_ips6 { type ipv6_addr; comment "live ClusterIPs: ports that they lack are refused"; }
  set node_addresses4 { type ipv4_addr; comment "NodePorts answer here"; }
  set node_addresses6 { type ipv6_addr; comment "NodePorts answer here"; }
  set local_nets4 { type ipv4_addr; flags interval; comment "sources that are pods"; }
  set local_nets6 { type ipv6_addr; flags interval; comment "sources that are pods"; }
  set service_cidrs4 { type ipv4_addr; flags interval; comment "Service addresses: unowned ones are dropped"; }
  set service_cidrs6 { type ipv6_addr; flags interval; comment "Service addresses: unowned ones are dropped"; }
  set hairpin4 { type ipv4_addr . ipv4_addr; comment "a backend that calls itself"; }
  set hairpin6 { type ipv6_addr . ipv6_addr; comment "a backend that calls itself"; }
  map udp_unserved4 { type ipv4_addr . inet_service : verdict; comment "UDP Services without an endpoint for this node"; }
  map udp_unserved6 { type ipv6_addr . inet_service : verdict; comment "UDP Services without an endpoint for this node"; }
  map udp_node_ports_unserved4 { type inet_service : verdict; comment "UDP NodePorts without an endpoint for this node"; }
  map udp_node_ports_unserved6 { type inet_service : verdict; comment "UDP NodePorts without an endpoint for this node"; }
  map sctp_local4 { type ipv4_addr . inet_service : verdict; comment "SCTP Services for pods and this node"; }
  map sctp_local6 { type ipv6_addr . inet_service : verdict; comment "SCTP Services for pods and this node"; }
  map sctp_outside4 { type ipv4_addr . inet_service : verdict; comment "SCTP Services for all other sources"; }
  map sctp_outside6 { type ipv6_addr . inet_service : verdict; comment "SCTP Services for all other sources"; }
  map sctp_node_ports_local4 { type inet_service : verdict; comment "SCTP NodePorts for pods and this node"; }
  map sctp_node_ports_local6 { type inet_service : verdict; comment "SCTP NodePorts for pods and this node"; }
  map sctp_node_ports_outside4 { type inet_service : verdict; comment "SCTP NodePorts for all other sources"; }
  map sctp_node_ports_outside6 { type inet_service : verdict; comment "SCTP NodePorts for all other sources"; }
  map sctp_ranged4 { type ipv4_addr . inet_service : verdict; comment "SCTP Services with source ranges"; }
  map sctp_ranged6 { type ipv6_addr . inet_service : verdict; comment "SCTP Services with source ranges"; }
  map snat_local4 { type ipv4_addr . inet_service : verdict; comment "whether pods get an address of this node"; }
  map snat_local6 { type ipv6_addr . inet_service : verdict; comment "whether pods get an address of this node"; }
  map snat_outside4 { type ipv4_addr . inet_service : verdict; comment "whether other sources get an address of this node"; }
  map snat_outside6 { type ipv6_addr . inet_service : verdict; comment "whether other sources get an address of this node"; }
  map snat_node_ports_local4 { type inet_service : verdict; comment "the same for NodePorts and pods"; }
  map snat_node_ports_local6 { type inet_service : verdict; comment "the same for NodePorts and pods"; }
  map snat_node_ports_outside4 { type inet_service : verdict; comment "the same for NodePorts and other sources"; }
  map snat_node_ports_outside6 { type inet_service : verdict; comment "the same for NodePorts and other sources"; }
  set pod_devices { type iface_index; comment "what enters here comes from pods"; }

  # The endpoints that packet programs choose. Their ids are shown in hexadecimal: 70000 is 1:1170.
  map backends4 { type classid : ipv4_addr . inet_service; comment "endpoints by id, as in map backends of the programs"; }
  map backends6 { type classid : ipv6_addr . inet_service; comment "endpoints by id, as in map backends of the programs"; }
}
`;

/**
 * The packet programs write a tag into the first packet of a flow (enum packet_tag in bpf/abi/types.h): the id of its backend, and whether it
 * gets an address of the node as its source; or that it is refused. NAT chains see first packets only. The output device is known in
 * postrouting, so the kernel chooses the source address there; the tag goes before a queueing discipline sees it.
 *
 * Clients keep their source port if no other flow has it at the node's address; else the kernel draws one (nf_nat_l4proto_unique_tuple). With
 * `fully-random` as in kube-proxy a new client often gets the port of a connection that has just ended: the server's TIME_WAIT knows neither
 * its sequence numbers nor its timestamps, and its SYN waits for a second.
 *
 * Sockets take a datagram to an address and port of a Service for a request, so sources of UDP flows stay clear of low ports and of the default
 * range of NodePorts.
 */
const TRANSLATION = `
table inet weir {
  chain nat_prerouting {
    meta l4proto { tcp, udp } meta priority & $TAG_MASK == $TAG_OF_WEIR goto tagged
  }
  chain tagged {
    meta priority & $TAG_REFUSED == $TAG_REFUSED goto refuse
    ct mark set ct mark | $CONNTRACK_MARK
    meta priority & $TAG_SNAT == $TAG_SNAT ct mark set ct mark | $MASQUERADE_MARK
    meta l4proto { tcp, udp } dnat ip  to meta priority & $TAG_BACKEND map @backends4
    meta l4proto { tcp, udp } dnat ip6 to meta priority & $TAG_BACKEND map @backends6
    counter drop comment "the chosen backend is not in the maps"
  }
  chain nat_postrouting {
    meta l4proto { tcp, udp } ct mark & $MASQUERADED == $MASQUERADED ct status dnat goto masquerade_flow
    meta priority & $TAG_MASK == $TAG_OF_WEIR meta priority set 0
  }
  chain masquerade_flow {
    meta priority & $TAG_MASK == $TAG_OF_WEIR meta priority set 0
    meta l4proto tcp masquerade
    meta l4proto udp masquerade to :32768-65535
  }
}
`;

/**
 * Packets that no chain of any table has translated reach the NAT chains at priority -90, 10 behind dstnat (-100): after a translation the kernel
 * asks no further NAT chain (nf_nat_inet_fn). Conntrack calls an error or a reply for a flow that it knows `related` or `established`, others
 * `invalid`: neither is refused. No route to the Service address is needed. SCTP ends an association during its setup for "protocol
 * unreachable" only (RFC 9260, 10, ICMP6; net/sctp/input.c); nft has no such error over IPv6. Packets of this node's own UDP sockets meet no
 * program, so the table also knows which Services leave them unserved, as kube-proxy's map no-endpoint-services.
 */
const REFUSALS = `
table inet weir {
  chain refuse {
    meta l4proto tcp counter reject with tcp reset comment "Service without endpoints, or a port that it lacks"
    meta l4proto sctp counter reject with icmp type prot-unreachable comment "the one error that SCTP over IPv4 heeds"
    counter reject comment "Service without endpoints, or a port that it lacks"
  }
  chain untranslated_prerouting {
    type nat hook prerouting priority -90; policy accept
    ct state new goto untranslated
  }
  chain untranslated_output {
    type nat hook output priority -90; policy accept
    ct state new meta l4proto udp jump unserved
    ct state new goto untranslated
  }
  chain unserved {
    ip  daddr . udp dport vmap @udp_unserved4
    ip  daddr @node_addresses4 udp dport vmap @udp_node_ports_unserved4
    ip6 daddr . udp dport vmap @udp_unserved6
    ip6 daddr @node_addresses6 udp dport vmap @udp_node_ports_unserved6
  }
  chain untranslated {
    ip  daddr @cluster_ips4   goto refuse
    ip  daddr @service_cidrs4 counter drop comment "no Service owns this address"
    ip6 daddr @cluster_ips6   goto refuse
    ip6 daddr @service_cidrs6 counter drop comment "no Service owns this address"
  }
}
`;

/**
 * The kernel does not translate back packets that conntrack calls invalid, so the client would answer them with a reset:
 * https://kubernetes.io/blog/2019/03/29/kube-proxy-subtleties-debugging-an-intermittent-connection-reset/.
 */
const DROP_INVALID = `
table inet weir {
  chain forward {
    type filter hook forward priority 0; policy accept
    ct state invalid meta l4proto { tcp, sctp } counter drop comment "would reach the client untranslated"
  }
}
`;

/** If the source was translated, this node would answer such a packet: its reset has no ACK (RFC 9293, 3.10.7.1) and belongs to no flow. */
const DROP_RESETS = `
table inet weir {
  chain resets {
    type filter hook output priority -90; policy accept
    ct state invalid tcp flags & (rst | ack) == rst counter drop comment "answers a packet that came here untranslated"
  }
}
`;

/**
 * Translates SCTP, which the programs leave alone. Source ranges are checked before the destination is translated. The client's destination
 * decides whether the flow gets a new source; flows of this node's own processes always get one, because their source was chosen for the
 * route to the Service address. All translated flows carry the mark.
 */
const SCTP = `
table inet weir {
  chain nat_prerouting {
    meta l4proto sctp jump sctp_ranges
    meta l4proto sctp goto sctp_packets
  }
  chain nat_output {
    meta l4proto sctp jump sctp_ranges
    meta l4proto sctp goto sctp_local
  }
  chain nat_postrouting {
    meta l4proto sctp ct status dnat goto sctp_source
  }

  chain sctp_ranges {
    ip  daddr . sctp dport vmap @sctp_ranged4
    ip6 daddr . sctp dport vmap @sctp_ranged6
  }
  chain sctp_packets {
    ip  saddr @local_nets4 goto sctp_local
    ip6 saddr @local_nets6 goto sctp_local
    iif @pod_devices       goto sctp_local
    goto sctp_outside
  }
  chain sctp_local {
    ip  daddr . sctp dport vmap @sctp_local4
    ip  daddr @node_addresses4 sctp dport vmap @sctp_node_ports_local4
    ip6 daddr . sctp dport vmap @sctp_local6
    ip6 daddr @node_addresses6 sctp dport vmap @sctp_node_ports_local6
  }
  chain sctp_outside {
    ip  daddr . sctp dport vmap @sctp_outside4
    ip  daddr @node_addresses4 sctp dport vmap @sctp_node_ports_outside4
    ip6 daddr . sctp dport vmap @sctp_outside6
    ip6 daddr @node_addresses6 sctp dport vmap @sctp_node_ports_outside6
  }

  chain sctp_source {
    ct mark set ct mark | $CONNTRACK_MARK
    fib saddr type local masquerade comment "this node's own"
    ip  saddr . ip  daddr @hairpin4 masquerade fully-random
    ip6 saddr . ip6 daddr @hairpin6 masquerade fully-random
    ip  saddr @local_nets4 goto sctp_source_local
    ip6 saddr @local_nets6 goto sctp_source_local
    iif @pod_devices       goto sctp_source_local
    goto sctp_source_outside
  }
  chain sctp_masquerade {
    masquerade fully-random
  }
  chain sctp_source_local {
    meta l4proto sctp ct original ip  daddr . ct original proto-dst vmap @snat_local4
    meta l4proto sctp ct original ip  daddr @node_addresses4 ct original proto-dst vmap @snat_node_ports_local4
    meta l4proto sctp ct original ip6 daddr . ct original proto-dst vmap @snat_local6
    meta l4proto sctp ct original ip6 daddr @node_addresses6 ct original proto-dst vmap @snat_node_ports_local6
  }
  chain sctp_source_outside {
    meta l4proto sctp ct original ip  daddr . ct original proto-dst vmap @snat_outside4
    meta l4proto sctp ct original ip  daddr @node_addresses4 ct original proto-dst vmap @snat_node_ports_outside4
    meta l4proto sctp ct original ip6 daddr . ct original proto-dst vmap @snat_outside6
    meta l4proto sctp ct original ip6 daddr @node_addresses6 ct original proto-dst vmap @snat_node_ports_outside6
  }
}
`;

const PURPOSE = 'weir: translates what its packet programs choose, Services over SCTP, and refusals';

const hex = (bits: number): string => `0x${bits.toString(16)}`;

/** The table before any Service is in it. */
export const rulesetText = ({ conntrackMark, masqueradeMark, dropInvalid, dropResets }: RulesetOptions): string => {
  const variables = {
    CONNTRACK_MARK: conntrackMark,
    MASQUERADE_MARK: masqueradeMark,
    MASQUERADED: conntrackMark + masqueradeMark,
    TAG_MASK,
    TAG_OF_WEIR,
    TAG_SNAT,
    TAG_REFUSED,
    TAG_BACKEND,
  };
  const text = [
    ...Object.entries(variables).map(([name, bits]) => `define ${name} = ${hex(bits)}\n`),
    SETS,
    REFUSALS,
    dropResets ? DROP_RESETS : '',
    dropInvalid ? DROP_INVALID : '',
    NAT_HOOKS,
    TRANSLATION,
    SCTP,
  ].join('');
  return `table inet weir { comment "${PURPOSE}, revision ${digestOf(text)}"; }\n${text}`;
};

/** The end of the comment of a table that was made from this text. */
export const revisionOf = (text: string): string => /revision \w+/.exec(text)?.[0] ?? '';

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
