/** Values of enum Set: what a reference is to. */
export const SETS = {
  Services: 1,
  Endpoints: 2,
  GlobalServiceInfos: 10,
  GlobalEndpointInfos: 11,
  GlobalNodeInfos: 12,
  ServiceCIDRs: 1000,
} as const;

export type SetNumber = (typeof SETS)[keyof typeof SETS];

/** The two streams. */
export const METHODS = { local: '/localv1.Sets/Watch', global: '/globalv1.Sets/Watch' } as const;

/** `NAMESPACE|NAME|SOURCE|KEY`: KPNG's stores take paths of the global stream apart (server/proxystore/kv.go, SetPath). */
export const globalPath = (namespace: string, name: string, source = '', key = ''): string => `${namespace}|${name}|${source}|${key}`;
