/** Converts model objects to messages. */
import { type Address, familyOf, formatPrefix } from '#lib/address.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { Node } from '#model/node.ts';
import type { Service } from '#model/service.ts';
import type { ServiceCIDR } from '#model/service-cidr.ts';
import type { EndpointInfo, EndpointMessage, IPSet, NodeInfo, Partially, ServiceCIDRMessage, ServiceMessage } from './messages.ts';
import { PROTOCOLS } from './messages.ts';

/** The traffic that an endpoint serves on one node. */
export interface EndpointScopes {
  /** It runs on the node. */
  readonly local: boolean;
  /** `internal`: clients that dial a ClusterIP; `external`: clients that dial another address from outside. */
  readonly internal: boolean;
  readonly external: boolean;
}

/** A Service. `targetPorts`: by name of the Service port, for peers that take the port of an endpoint from the Service. */
export function serviceMessage(service: Service, targetPorts: ReadonlyMap<string, number>): Partially<ServiceMessage> {
  const { sourceRanges, loadBalancerIPs, affinitySeconds } = service;
  return {
    Namespace: service.namespace,
    Name: service.name,
    Type: typeOf(service),
    IPs: {
      ClusterIPs: ipSet(service.clusterIPs),
      ExternalIPs: ipSet(service.externalIPs),
      LoadBalancerIPs: ipSet(loadBalancerIPs),
    },
    Ports: service.ports.map(({ name, protocol, port, nodePort }) => ({
      Name: name,
      Protocol: PROTOCOLS[protocol],
      Port: port,
      NodePort: nodePort,
      TargetPort: targetPorts.get(name) ?? 0,
    })),
    ExternalTrafficToLocal: service.externalTrafficPolicy === 'Local',
    IPFilters: sourceRanges.length === 0 ? [] : [{ TargetIPs: ipSet(loadBalancerIPs), SourceRanges: sourceRanges.map(formatPrefix) }],
    ClientIP: affinitySeconds === 0 ? undefined : { TimeoutSeconds: affinitySeconds },
    InternalTrafficToLocal: service.internalTrafficPolicy === 'Local',
    HealthCheckNodePort: service.healthCheckNodePort,
    CreatedAt: service.createdAt,
  };
}

/** The simplest type that allows the Service's fields; the model has no type. */
function typeOf({ loadBalancerIPs, sourceRanges, healthCheckNodePort, externalTrafficPolicy, ports }: Service): string {
  if (loadBalancerIPs.length > 0 || sourceRanges.length > 0 || healthCheckNodePort > 0) return 'LoadBalancer';
  return externalTrafficPolicy === 'Local' || ports.some(({ nodePort }) => nodePort > 0) ? 'NodePort' : 'ClusterIP';
}

/** An endpoint of a slice, for the local stream; without `scopes` for the global stream. */
export function endpointMessage(endpoint: Endpoint, slice: EndpointSlice, scopes?: EndpointScopes): Partially<EndpointMessage> {
  return {
    IPs: ipSet([endpoint.address]),
    Local: scopes?.local,
    PortOverrides: slice.ports.map(({ name, port, protocol }) => ({ Name: name, Port: port, Protocol: PROTOCOLS[protocol] })),
    Scopes: scopes && { Internal: scopes.internal, External: scopes.external },
    Facts: {
      Slice: slice.name,
      Ready: endpoint.ready,
      Serving: endpoint.serving,
      Terminating: endpoint.terminating,
      Node: endpoint.nodeName,
      HintZones: endpoint.hintZones,
      HintNodes: endpoint.hintNodes,
      Pod: endpoint.pod,
    },
  };
}

/** An endpoint of a slice, as the global stream wraps it. */
export const endpointInfo = (endpoint: Endpoint, slice: EndpointSlice): Partially<EndpointInfo> => ({
  Namespace: slice.namespace,
  SourceName: slice.name,
  ServiceName: slice.serviceName,
  Endpoint: endpointMessage(endpoint, slice),
  Conditions: { Ready: endpoint.ready },
  PodName: endpoint.pod.replace(/^.*\//, ''),
  Topology: { Node: endpoint.nodeName },
  Hints: endpoint.hintZones.length === 0 ? undefined : { Zones: endpoint.hintZones },
});

/** A Node, for both streams. */
export const nodeInfo = (node: Node): Partially<NodeInfo> => ({
  Node: {
    Name: node.name,
    // Old peers read the name here, too
    Topology: { Node: node.name, Zone: node.zone } as { Zone: string },
    Facts: { Addresses: node.addresses, PodCIDRs: node.podCIDRs.map(formatPrefix), Leaving: node.isLeaving },
  },
});

/** A range of Service addresses. */
export const serviceCIDRMessage = ({ name, cidrs }: ServiceCIDR): Partially<ServiceCIDRMessage> => ({
  Name: name,
  CIDRs: cidrs.map(formatPrefix),
});

const ipSet = (addresses: readonly Address[]): Partially<IPSet> => ({
  V4: addresses.filter((address) => familyOf(address) === 4),
  V6: addresses.filter((address) => familyOf(address) === 6),
});
