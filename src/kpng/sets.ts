/** Values of enum Set: the kind of object that a Ref names. */
export const SETS = {
  Services: 1,
  Endpoints: 2,
  GlobalServiceInfos: 10,
  GlobalEndpointInfos: 11,
  GlobalNodeInfos: 12,
  ServiceCIDRs: 1000,
} as const;

export type SetNumber = (typeof SETS)[keyof typeof SETS];

/** Methods of the two streams. */
export const METHODS = { local: '/localv1.Sets/Watch', global: '/globalv1.Sets/Watch' } as const;

/** A path of the global stream, `NAMESPACE|NAME|SOURCE|KEY`: KPNG's stores split it (server/proxystore/kv.go, SetPath). */
export const globalPath = (namespace: string, name: string, source = '', key = ''): string => `${namespace}|${name}|${source}|${key}`;
