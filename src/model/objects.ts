import type { EndpointSlice } from './endpoint-slice.ts';
import type { Node } from './node.ts';
import type { Service } from './service.ts';
import type { ServiceCIDR } from './service-cidr.ts';

/** A decoded object of a kind that weir reads. `key` is `namespace/name`; the name for a Node or ServiceCIDR. */
export type ModelObject =
  | { readonly kind: 'Service'; readonly key: string; readonly value: Service }
  | { readonly kind: 'EndpointSlice'; readonly key: string; readonly value: EndpointSlice }
  | { readonly kind: 'Node'; readonly key: string; readonly value: Node }
  | { readonly kind: 'ServiceCIDR'; readonly key: string; readonly value: ServiceCIDR };

export type ModelKind = ModelObject['kind'];
