import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST } from '#abi/generated.ts';
import { parseYaml } from '#lib/yaml.ts';
import { decodeObject, flattenLists } from '#model/decode.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { ModelObject } from '#model/objects.ts';
import { prefix } from '#support/model-objects.ts';
import { viewNode } from './node-view.ts';
import { planService } from './plan-service.ts';

const text = readFileSync(new URL('../../test/fixtures/shop-cluster.yaml', import.meta.url), 'utf8');
const parsed = parseYaml(text);
assert.ok(parsed.ok);
const objects: readonly ModelObject[] = parsed.values
  .flatMap((document) => [...flattenLists(document)])
  .map((document) => {
    const decoded = decodeObject(document);
    assert.ok(decoded.type === 'object');
    return decoded.object;
  });
const services = objects.flatMap((one) => (one.kind === 'Service' ? [one.value] : []));
const slices = objects.flatMap((one) => (one.kind === 'EndpointSlice' ? [one.value] : []));
const node = objects.flatMap((one) => (one.kind === 'Node' && one.key === 'n1' ? [one.value] : []))[0];
const view = viewNode(node, {
  nodeName: 'n1',
  localDetector: { mode: 'ClusterCIDR', prefixes: [prefix('10.244.0.0/16'), prefix('fd00:244::/48')] },
  masqueradeAll: false,
});
const belongsTo =
  (service: { namespace: string; name: string }) =>
  (slice: EndpointSlice): boolean =>
    slice.namespace === service.namespace && slice.serviceName === service.name;

test('node n1 of a real cluster serves these Service ports (c = in the cluster list, l = in the local list)', () => {
  const list = (flags: number): string =>
    `${(flags & BACKEND_CLUSTER_LIST) === 0 ? '' : 'c'}${(flags & BACKEND_LOCAL_LIST) === 0 ? '' : 'l'}`;
  const lines = services
    .flatMap((service) => planService(service, slices.filter(belongsTo(service)), view))
    .map(
      ({ name, protocol, frontends, backends }) =>
        `${name} ${protocol} ${frontends.map((one) => `${one.address}:${one.port}`).join(' ')} -> ${backends.map((one) => `${one.address}:${one.port}=${list(one.flags)}`).join(' ')}`,
    );
  assert.deepEqual(lines, [
    'shop/cart:grpc 6 10.96.24.97:7070 -> 10.244.1.113:7070=c 10.244.2.94:7070=c',
    'shop/cart:grpc 6 fd00:96::a3bc:7070 -> fd00:244:0:1::71:7070=c fd00:244:0:2::5e:7070=c',
    'shop/ledger-rw:pg 6 198.51.100.200:5432 10.96.157.232:5432 0.0.0.0:31452 -> 10.244.2.95:5432=c',
    'shop/legacy:http 6 10.96.75.43:80 -> 192.0.2.1:8000=c',
    'shop/recommendations 6 10.96.102.242:80 -> ',
    'shop/signalling:m3ua 132 10.96.87.250:2905 -> 10.244.1.113:2905=c 10.244.2.94:2905=c',
    'shop/storefront:http 6 198.51.100.22:80 10.96.255.87:80 0.0.0.0:31721 -> 10.244.2.93:8080=c 10.244.3.99:8080=c 10.244.1.112:8080=cl',
    'shop/storefront-internal:http 6 10.96.114.137:8080 -> 10.244.1.112:8080=c',
    'shop/storefront-internal:status 17 10.96.114.137:8080 -> 10.244.1.112:8081=c',
    'shop/storefront-internal:http 6 fd00:96::f867:8080 -> fd00:244:0:1::70:8080=c',
    'shop/storefront-internal:status 17 fd00:96::f867:8080 -> fd00:244:0:1::70:8081=c',
    'shop/telemetry:statsd 17 10.96.110.96:8125 -> 192.0.2.11:8125=l',
    'shop/telemetry:prom 6 10.96.110.96:9464 -> 192.0.2.11:9464=l',
    'kube-system/kube-dns:dns 17 10.96.0.53:53 -> 10.244.2.3:53=c',
    'kube-system/kube-dns:dns-tcp 6 10.96.0.53:53 -> 10.244.2.3:53=c',
    'default/kubernetes:https 6 10.96.0.1:443 -> 192.0.2.10:6443=c',
  ]);
});
