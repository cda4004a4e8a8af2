import { SERVICE_CIDRS } from '../test/datapath/objects.ts';

/** A NodePort with one endpoint, on TCP and UDP. */
export interface RuledService {
  readonly name: string;
  readonly clusterIP: string;
  readonly nodePort: number;
  readonly endpoint: string;
  readonly port: number;
}

const [CIDR] = SERVICE_CIDRS.split(',');

/**
 * The chains that a flow passes beside kube-proxy in nftables mode (pkg/proxy/nftables/proxier.go of Kubernetes 1.37: setupNFTables and
 * syncProxyRules): verdict maps by destination, a chain for each Service and each endpoint, checks of new flows in filter chains of every hook.
 */
export const kubeProxyRules = (nodeAddress: string, services: readonly RuledService[]): string => `
table ip kube-proxy {
  set cluster-ips { type ipv4_addr; }
  set nodeport-ips { type ipv4_addr; }
  map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
  map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map service-nodeports { type inet_proto . inet_service : verdict; }

  chain mark-for-masquerade {
    meta mark set meta mark | 0x4000
  }
  chain firewall-check {
    ip daddr . meta l4proto . th dport vmap @firewall-ips
  }
  chain service-endpoints-check {
    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }
  chain nodeport-endpoints-check {
    ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }
  chain cluster-ips-check {
    ip daddr @cluster-ips reject
    ip daddr ${CIDR} drop
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }
  chain masquerading {
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }

  chain filter-prerouting-pre-dnat {
    type filter hook prerouting priority -110
    ct state new jump firewall-check
  }
  chain filter-output-pre-dnat {
    type filter hook output priority -110
    ct state new jump firewall-check
  }
  chain filter-input {
    type filter hook input priority -110
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  }
  chain filter-forward {
    type filter hook forward priority -110
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain filter-output {
    type filter hook output priority -90
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain nat-prerouting {
    type nat hook prerouting priority -100
    jump services
  }
  chain nat-output {
    type nat hook output priority -100
    jump services
  }
  chain nat-postrouting {
    type nat hook postrouting priority 100
    jump masquerading
  }
}
add element ip kube-proxy nodeport-ips { ${nodeAddress} }
${services.flatMap((service) => ['tcp', 'udp'].map((protocol) => serviceRules(service, protocol))).join('')}`;

function serviceRules({ name, clusterIP, nodePort, endpoint, port }: RuledService, protocol: string): string {
  const id = `${name}-${protocol}`;
  return `
table ip kube-proxy {
  chain endpoint-${id} {
    ip saddr ${endpoint} jump mark-for-masquerade
    meta l4proto ${protocol} dnat to ${endpoint}:${port}
  }
  chain service-${id} {
    ip daddr ${clusterIP} ${protocol} dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
    numgen random mod 1 vmap { 0 : goto endpoint-${id} }
  }
  chain external-${id} {
    jump mark-for-masquerade
    goto service-${id}
  }
}
add element ip kube-proxy cluster-ips { ${clusterIP} }
add element ip kube-proxy service-ips { ${clusterIP} . ${protocol} . 80 : goto service-${id} }
add element ip kube-proxy service-nodeports { ${protocol} . ${nodePort} : goto external-${id} }
`;
}
