import { afterEach } from 'node:test';
import { type AccessSettings, readAccess } from '#sources/api/access.ts';
import { createApiSource } from '#sources/api/api-source.ts';
import { API_TIMES, type ApiTimes } from '#sources/api/times.ts';
import { type ApiObject, TestApiServer } from './fake-api-server.ts';
import { until } from './manifest-folder.ts';
import { type Recorded, recordingSink } from './recording-sink.ts';

/** A source that follows a test server. Both go after the test. */
export interface Followed extends Recorded {
  readonly server: TestApiServer;
  readonly notes: string[];
  stop(): Promise<void>;
}

/** Waits that suit a test. */
export const QUICK: ApiTimes = { ...API_TIMES, firstMs: 1, maxMs: 10, minWatchMs: 0, idleMs: 10_000, confirmMs: 200, journalMs: 0 };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server that stops after the test. */
export async function served(objects: readonly ApiObject[] = [], server = new TestApiServer()): Promise<TestApiServer> {
  for (const object of objects) server.put(object);
  await server.start();
  cleanups.push(() => server.stop());
  return server;
}

/** Follows `server` by its bare address, or as `access` says. */
export async function followed(
  server: TestApiServer,
  {
    times = {},
    access = { kubeconfig: undefined, master: server.url },
    sync = true,
    watches = 4,
    ...rest
  }: {
    times?: Partial<ApiTimes>;
    access?: AccessSettings;
    sync?: boolean;
    watches?: number;
    journal?: string;
    nodeName?: string;
  } = {},
): Promise<Followed> {
  const notes: string[] = [];
  const said = (message: string): string => message.replaceAll(server.url, 'URL');
  const { sink, calls, problems, missed, objects } = recordingSink(said);
  const source = createApiSource({
    readAccess: () => readAccess(access),
    nodeName: 'n1',
    ...rest,
    note: (message) => notes.push(said(message)),
    times: { ...QUICK, ...times },
  });
  cleanups.push(() => source.stop());
  source.start(sink);
  if (sync) await until('complete and watching', () => calls.includes('complete') && server.watches === watches);
  return { server, calls, problems, missed, notes, objects, stop: () => source.stop() };
}

/** A Service of namespace shop. */
export const service = (name: string, port = 80, labels: Record<string, string> = {}): ApiObject => ({
  kind: 'Service',
  apiVersion: 'v1',
  metadata: { name, namespace: 'shop', labels },
  spec: { clusterIP: '10.96.0.1', ports: [{ port }] },
});

/** The Service that an API server makes for itself. */
export const kubernetes = (uid: string): ApiObject => ({
  ...service('kubernetes', 443),
  metadata: { name: 'kubernetes', namespace: 'default', uid },
});

/** An EndpointSlice of a Service of that name. */
export const slice = (name: string, address = '10.0.0.1'): ApiObject => ({
  kind: 'EndpointSlice',
  apiVersion: 'discovery.k8s.io/v1',
  metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
  ...{ addressType: 'IPv4', endpoints: [{ addresses: [address] }], ports: [{ port: 80 }] },
});

/** A Node. */
export const node = (name: string): ApiObject => ({ kind: 'Node', apiVersion: 'v1', metadata: { name } });

/** The ServiceCIDR that an API server makes of its flag. */
export const serviceCIDR = (...cidrs: string[]): ApiObject => ({
  kind: 'ServiceCIDR',
  apiVersion: 'networking.k8s.io/v1',
  metadata: { name: 'kubernetes' },
  spec: { cidrs },
});

/** Port of a Service as it was delivered last. */
export const portOf = ({ objects }: Followed, name: string): number | undefined => {
  const object = objects.get(`Service shop/${name}`);
  return object?.kind === 'Service' ? object.value.ports[0]?.port : undefined;
};
