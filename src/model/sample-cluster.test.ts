import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseYaml } from '#lib/yaml.ts';
import { decodeObject, flattenLists } from './decode.ts';

const text = readFileSync(new URL('../../test/fixtures/shop-cluster.yaml', import.meta.url), 'utf8');
const parsed = parseYaml(text);
assert.ok(parsed.ok);
const decoded = parsed.values.flatMap((document) => [...flattenLists(document)].map(decodeObject));
const find = (kind: string, key: string) =>
  decoded.find((one) => one.type === 'object' && one.object.kind === kind && one.object.key === key);

test('every object of a real cluster decodes, without a warning', () => {
  const kinds: Record<string, number> = {};
  for (const one of decoded) {
    assert.ok(one.type === 'object', JSON.stringify(one));
    assert.deepEqual(one.warnings, []);
    kinds[one.object.kind] = (kinds[one.object.kind] ?? 0) + 1;
  }
  assert.deepEqual(kinds, { Node: 3, Service: 12, EndpointSlice: 13 });
});

test('the LoadBalancer of the real cluster has all its fields', () => {
  assert.deepEqual(find('Service', 'shop/storefront'), {
    type: 'object',
    warnings: [],
    object: {
      kind: 'Service',
      key: 'shop/storefront',
      value: {
        namespace: 'shop',
        name: 'storefront',
        createdAt: '2026-11-23T02:24:44Z',
        proxied: true,
        clusterIPs: ['10.96.255.87'],
        externalIPs: [],
        loadBalancerIPs: ['198.51.100.22'],
        sourceRanges: [
          { address: '203.0.113.0', length: 24 },
          { address: '192.0.2.0', length: 24 },
        ],
        ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 31721 }],
        internalTrafficPolicy: 'Cluster',
        externalTrafficPolicy: 'Local',
        affinitySeconds: 0,
        healthCheckNodePort: 31051,
      },
    },
  });
});

test('a Node of the real cluster has all its fields', () => {
  assert.deepEqual(find('Node', 'n3'), {
    type: 'object',
    warnings: [],
    object: {
      kind: 'Node',
      key: 'n3',
      value: {
        name: 'n3',
        addresses: ['192.0.2.13', 'fd00:2::13'],
        podCIDRs: [
          { address: '10.244.0.0', length: 24 },
          { address: 'fd00:244::', length: 64 },
        ],
        zone: 'zone3',
        isLeaving: false,
      },
    },
  });
});
