import type { ModelKind } from '#model/objects.ts';

/** Objects of one kind that are followed. */
export interface Resource {
  readonly kind: ModelKind;
  /** For messages. */
  readonly what: string;
  readonly path: string;
  readonly select: Readonly<Record<string, string>>;
  /** There need not be any: a first list without objects is believed. */
  readonly mayBeEmpty?: true;
  /** The effect of their absence, and the remedy; undefined for resources that weir cannot work without. */
  readonly lack?: string;
}

/**
 * What kube-proxy never proxies is never sent (cmd/kube-proxy/app/server.go): a Service that gets such a label arrives as deleted.
 * EndpointSlices have the labels of their Service.
 */
const labelSelector = '!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name';

/** What the proxy of a node follows; undefined = of all nodes. */
export const resourcesOf = (nodeName: string | undefined): readonly Resource[] => [
  { kind: 'Service', what: 'Services', path: '/api/v1/services', select: { labelSelector, fieldSelector: 'spec.clusterIP!=None' } },
  { kind: 'EndpointSlice', what: 'EndpointSlices', path: '/apis/discovery.k8s.io/v1/endpointslices', select: { labelSelector } },
  {
    kind: 'Node',
    what: nodeName === undefined ? 'Nodes' : `Node ${nodeName}`,
    path: '/api/v1/nodes',
    select: nodeName === undefined ? {} : { fieldSelector: `metadata.name=${nodeName}` },
    mayBeEmpty: true,
  },
  {
    kind: 'ServiceCIDR',
    what: 'ServiceCIDRs',
    path: '/apis/networking.k8s.io/v1/servicecidrs',
    select: {},
    mayBeEmpty: true,
    lack: 'Traffic to unowned Service addresses is dropped only where --service-cidr names them (Kubernetes has ServiceCIDRs from 1.33 on)',
  },
];
