import { familyOf } from '#lib/address.ts';
import type { Service } from '#model/service.ts';

/** A rule of Services that KPNG's messages cannot say without extensions; docs/kpng.md has the same list. */
interface Rule {
  readonly name: string;
  readonly isMeant: (service: Service) => boolean;
  readonly consequence: string;
  /** What helps besides another server; empty where nothing does. */
  readonly remedy: string;
}

const isLocal = ({ externalTrafficPolicy, internalTrafficPolicy }: Service): boolean =>
  externalTrafficPolicy === 'Local' || internalTrafficPolicy === 'Local';

const RULES: readonly Rule[] = [
  {
    name: 'endpoints that drain',
    isMeant: () => true,
    consequence: 'an endpoint that terminates is gone at once: its UDP flows end, and a Service whose endpoints all terminate refuses',
    remedy: '',
  },
  {
    name: 'policy Local elsewhere',
    isMeant: isLocal,
    consequence: 'without an endpoint here new traffic is refused instead of dropped, so load balancers may not try another node',
    remedy: '',
  },
  {
    name: 'policy Local twice',
    isMeant: ({ externalTrafficPolicy, internalTrafficPolicy }) => externalTrafficPolicy === 'Local' && internalTrafficPolicy === 'Local',
    consequence: 'pods that dial an outer address reach endpoints of this node only',
    remedy: '',
  },
  {
    name: 'this Node',
    isMeant: ({ ports }) => ports.some(({ nodePort }) => nodePort > 0),
    consequence: 'nothing says its addresses and pod ranges: no NodePort is served, and NodeCIDR tells nobody apart',
    remedy: 'give --bind-address, or --nodeport-addresses with networks, and --cluster-cidr',
  },
  {
    name: 'both families',
    isMeant: ({ clusterIPs }) => new Set(clusterIPs.map(familyOf)).size > 1,
    consequence: 'of a pod with addresses of both families only one is said',
    remedy: '',
  },
  {
    name: 'topology hints',
    isMeant: () => true,
    consequence: 'hints for nodes do not count, and where hints name no endpoint for this zone the Service has none here',
    remedy: '',
  },
  {
    name: 'ipMode',
    isMeant: ({ loadBalancerIPs }) => loadBalancerIPs.length > 0,
    consequence: 'LoadBalancer addresses of ipMode Proxy are served here instead of by the load balancer',
    remedy: '',
  },
  {
    name: 'age of Services',
    isMeant: () => true,
    consequence: 'of two Services that claim one address the first by name keeps it, not the older one',
    remedy: '',
  },
  {
    name: 'ServiceCIDRs',
    isMeant: () => true,
    consequence: 'traffic to Service addresses that nobody owns is not dropped',
    remedy: 'give --service-cidr',
  },
];

/** What is lost with a server that speaks no extensions, and for how many of the Services that it has. */
export const lostRules = (services: readonly Service[]): readonly (Omit<Rule, 'isMeant'> & { readonly services: number })[] =>
  RULES.map(({ isMeant, ...rule }) => ({ ...rule, services: services.filter((each) => each.proxied && isMeant(each)).length })).filter(
    (rule) => rule.services > 0,
  );
