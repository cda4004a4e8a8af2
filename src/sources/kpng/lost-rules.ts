/** The Service rules that are lost with a KPNG server without weir's extensions. */
import { familyOf } from '#lib/address.ts';
import type { Service } from '#model/service.ts';

/** A Service rule that KPNG's messages cannot express without extensions; docs/kpng.md has the same list. */
interface Rule {
  readonly name: string;
  /** Whether the rule affects the Service. */
  readonly affects: (service: Service) => boolean;
  readonly consequence: string;
  /** A remedy beside another server; empty if there is none. */
  readonly remedy: string;
}

const isLocal = ({ externalTrafficPolicy, internalTrafficPolicy }: Service): boolean =>
  externalTrafficPolicy === 'Local' || internalTrafficPolicy === 'Local';

const RULES: readonly Rule[] = [
  {
    name: 'draining endpoints',
    affects: () => true,
    consequence: 'a terminating endpoint is removed at once: its UDP flows end, and a Service with only terminating endpoints refuses',
    remedy: '',
  },
  {
    name: 'policy Local without a local endpoint',
    affects: isLocal,
    consequence: 'without an endpoint on this node new traffic is refused instead of dropped, so load balancers may not try another node',
    remedy: '',
  },
  {
    name: 'both policies Local',
    affects: ({ externalTrafficPolicy, internalTrafficPolicy }) => externalTrafficPolicy === 'Local' && internalTrafficPolicy === 'Local',
    consequence: 'pods that dial an outer address reach endpoints of this node only',
    remedy: '',
  },
  {
    name: 'this Node',
    affects: ({ ports }) => ports.some(({ nodePort }) => nodePort > 0),
    consequence:
      'the server does not send the addresses and pod ranges of this node: NodePorts are not served, and NodeCIDR cannot detect local pods',
    remedy: 'give --bind-address, or --nodeport-addresses with networks, and --cluster-cidr',
  },
  {
    name: 'dual-stack pods',
    affects: ({ clusterIPs }) => new Set(clusterIPs.map(familyOf)).size > 1,
    consequence: 'only one address of a dual-stack pod is used',
    remedy: '',
  },
  {
    name: 'topology hints',
    affects: () => true,
    consequence: 'hints for nodes are ignored, and a Service whose hints name no endpoint for this zone has none on this node',
    remedy: '',
  },
  {
    name: 'ipMode',
    affects: ({ loadBalancerIPs }) => loadBalancerIPs.length > 0,
    consequence: 'LoadBalancer addresses of ipMode Proxy are served on this node instead of by the load balancer',
    remedy: '',
  },
  {
    name: 'age of Services',
    affects: () => true,
    consequence: 'if two Services claim an address, the first by name keeps it, not the older one',
    remedy: '',
  },
  {
    name: 'ServiceCIDRs',
    affects: () => true,
    consequence: 'traffic to unused Service addresses is not dropped',
    remedy: 'give --service-cidr',
  },
];

/** The rules that are lost for these Services, with the number of Services that each affects. */
export const lostRules = (services: readonly Service[]): readonly (Omit<Rule, 'affects'> & { readonly services: number })[] =>
  RULES.map(({ affects, ...rule }) => ({ ...rule, services: services.filter((each) => each.proxied && affects(each)).length })).filter(
    (rule) => rule.services > 0,
  );
