import { decodeServicePorts } from './decode-service-ports.ts';
import { child, choice, integer, type LocatedFields } from './fields.ts';
import { isLeftToOthers, readMetadata } from './metadata.ts';
import type { Service } from './service.ts';
import { decodeClusterIPs, decodeExternalIPs, decodeIngress, decodeSourceRanges } from './service-addresses.ts';
import { decodeExternalPolicy, decodeHealthCheckNodePort, decodeType, POLICIES } from './service-type.ts';

/**
 * v1 Service, validated by the API server's rules (pkg/apis/core/validation, validateService) for the fields that a proxy reads.
 * Errors go into the report of `object`; the result is valid only if the report has none.
 */
export function decodeService(object: LocatedFields): Service {
  const metadata = readMetadata(object, 'Service');
  const spec = child(object, 'spec');
  const type = decodeType(spec);
  const ports = decodeServicePorts(spec, type);
  const clusterIPs = decodeClusterIPs(spec, type, ports.length > 0);
  const externalIPs = decodeExternalIPs(spec);
  const externalTrafficPolicy = decodeExternalPolicy(spec, type, externalIPs.length > 0);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    createdAt: metadata.createdAt,
    proxied: clusterIPs.length > 0 && !isLeftToOthers(metadata),
    clusterIPs,
    externalIPs,
    loadBalancerIPs: decodeIngress(object, type),
    sourceRanges: decodeSourceRanges(spec, type, clusterIPs),
    ports,
    internalTrafficPolicy: choice(spec, 'internalTrafficPolicy', POLICIES, 'Cluster'),
    externalTrafficPolicy,
    affinitySeconds: decodeAffinity(spec),
    healthCheckNodePort: decodeHealthCheckNodePort(spec, { type, ports, policy: externalTrafficPolicy }),
  };
}

function decodeAffinity(spec: LocatedFields): number {
  if (choice(spec, 'sessionAffinity', ['None', 'ClientIP'], 'None') === 'None') return 0;
  return integer(child(child(spec, 'sessionAffinityConfig'), 'clientIP'), 'timeoutSeconds', 1, 86400, 10800);
}
