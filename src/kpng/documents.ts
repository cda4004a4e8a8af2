import { failure, type Result, success } from '#lib/result.ts';
import type { EndpointMessage, IPSet, NodeInfo, PortName, ServiceCIDRMessage, ServiceMessage } from './messages.ts';
import { PROTOCOLS } from './messages.ts';

/*
 * Converts messages back to Kubernetes objects, so that `decodeObject` validates them like the objects of every other source and reports
 * the same errors.
 */

/** A v1 Service, or the reason why weir cannot serve it as the peer asks. */
export function serviceDocument(message: ServiceMessage): Result<object> {
  const subject = `Service ${message.Namespace}/${message.Name}`;
  if (message.MapIP) return failure(`${subject}: MapIP is true, must be false: weir serves ports, not whole addresses`);
  const ranges = sourceRanges(message);
  if (ranges === undefined) return failure(`${subject}: IPFilters differ from each other, must be the same for all LoadBalancer addresses`);
  const clusterIPs = message.IPs?.Headless ? ['None'] : addressesOf(message.IPs?.ClusterIPs);
  return success({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...{ namespace: message.Namespace, name: message.Name, labels: message.Labels },
      ...(message.CreatedAt !== '' && { creationTimestamp: message.CreatedAt }),
    },
    spec: {
      type: message.Type,
      ...(clusterIPs.length > 0 && { clusterIP: clusterIPs[0], clusterIPs }),
      externalIPs: addressesOf(message.IPs?.ExternalIPs),
      ...(ranges.length > 0 && { loadBalancerSourceRanges: ranges }),
      ports: message.Ports.map(({ Name, Protocol, Port, NodePort }) => ({
        ...{ name: Name, protocol: protocolName(Protocol), port: Port, nodePort: NodePort },
      })),
      internalTrafficPolicy: message.InternalTrafficToLocal ? 'Local' : 'Cluster',
      ...(message.ExternalTrafficToLocal && { externalTrafficPolicy: 'Local' }),
      ...(message.ClientIP && {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: message.ClientIP.TimeoutSeconds } },
      }),
      healthCheckNodePort: message.HealthCheckNodePort,
    },
    status: { loadBalancer: { ingress: addressesOf(message.IPs?.LoadBalancerIPs).map((ip) => ({ ip })) } },
  });
}

/** Source ranges of the filters for LoadBalancer addresses, and of filters without an address, as old peers send them; undefined if they differ. */
function sourceRanges({ IPFilters, IPs }: ServiceMessage): readonly string[] | undefined {
  const balanced = addressesOf(IPs?.LoadBalancerIPs);
  const ours = IPFilters.filter(({ TargetIPs }) => {
    const targets = addressesOf(TargetIPs);
    return targets.length === 0 || targets.some((target) => balanced.includes(target));
  });
  const [first] = ours;
  return ours.every((each) => each.SourceRanges.join() === first?.SourceRanges.join()) ? (first?.SourceRanges ?? []) : undefined;
}

/** The Service of an endpoint, and facts that its own message lacks. */
export interface EndpointPlace {
  readonly namespace: string;
  readonly serviceName: string;
  readonly slice: string;
  readonly ready: boolean;
  readonly nodeName: string;
  readonly hintZones: readonly string[];
  readonly pod: string;
}

/** A discovery.k8s.io/v1 EndpointSlice with only this endpoint, at one of its addresses. The facts of the message override `place`. */
export function endpointDocument({ PortOverrides, Facts }: EndpointMessage, address: string, place: EndpointPlace): object {
  const facts = Facts ?? factsOf(place);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: place.namespace, name: facts.Slice, labels: { 'kubernetes.io/service-name': place.serviceName } },
    addressType: address.includes(':') ? 'IPv6' : 'IPv4',
    endpoints: [
      {
        addresses: [address],
        conditions: { ready: facts.Ready, serving: facts.Serving, terminating: facts.Terminating },
        nodeName: facts.Node,
        ...(facts.HintZones.length + facts.HintNodes.length > 0 && {
          hints: { forZones: named(facts.HintZones), forNodes: named(facts.HintNodes) },
        }),
        ...(facts.Pod !== '' && { targetRef: podReference(facts.Pod) }),
      },
    ],
    ports: PortOverrides.map(({ Name, Port, Protocol }: PortName) => ({
      ...{ name: Name, port: Port, protocol: Protocol === 0 ? 'TCP' : protocolName(Protocol) },
    })),
  };
}

const factsOf = ({ slice, ready, nodeName, hintZones, pod }: EndpointPlace) => ({
  ...{ Slice: slice, Ready: ready, Serving: ready, Terminating: false, Node: nodeName, HintZones: hintZones },
  ...{ HintNodes: [], Pod: pod },
});

const named = (names: readonly string[]): readonly object[] | undefined =>
  names.length === 0 ? undefined : names.map((name) => ({ name }));

function podReference(pod: string): object {
  const [namespace, name] = pod.split('/');
  return { kind: 'Pod', namespace, name };
}

/** A v1 Node. */
export const nodeDocument = (message: NodeInfo['Node']): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: message?.Name,
    labels: { 'topology.kubernetes.io/zone': message?.Topology?.Zone ?? '' },
    ...(message?.Facts?.Leaving && { deletionTimestamp: 'soon' }),
  },
  spec: { podCIDRs: message?.Facts?.PodCIDRs },
  status: { addresses: message?.Facts?.Addresses.map((address) => ({ type: 'InternalIP', address })) },
});

/** A networking.k8s.io/v1 ServiceCIDR. */
export const serviceCIDRDocument = ({ Name, CIDRs }: ServiceCIDRMessage): object => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name: Name },
  spec: { cidrs: CIDRs },
});

/** All addresses of a set, IPv4 first. */
export const addressesOf = (set: IPSet | null | undefined): readonly string[] => (set ? [...set.V4, ...set.V6] : []);

const protocolName = (number: number): string =>
  Object.entries(PROTOCOLS).find(([, value]) => value === number)?.[0] ?? (number === 0 ? 'UnknownProtocol' : String(number));
