import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodedAs, sliceDocument as slice } from '#support/documents.ts';
import { decodeObject } from './decode.ts';
import type { EndpointSlice } from './endpoint-slice.ts';

test('the trigger time of the last change is read; an invalid time counts as unknown', () => {
  const triggeredAt = (time: unknown): number | undefined => {
    const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': time };
    const decoded = decodeObject({
      ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4', endpoints: [] },
      metadata: { name: 'web-1', namespace: 'shop', annotations },
    });
    return decoded.type === 'object' && decoded.object.kind === 'EndpointSlice' ? decoded.object.value.triggeredAt : undefined;
  };
  assert.equal(triggeredAt('2026-11-29T08:00:00.123456789Z'), Date.UTC(2026, 10, 29, 8, 0, 0, 123));
  assert.equal(triggeredAt('yesterday'), 0);
  assert.equal(triggeredAt(5), 0);
});

test('an endpoint without conditions is ready, serving and not terminating', () => {
  assert.deepEqual(decodedAs<EndpointSlice>(slice({})), {
    namespace: 'shop',
    name: 'cart-x7k2p',
    serviceName: 'cart',
    family: 4,
    endpoints: [
      { address: '10.180.0.1', ready: true, serving: true, terminating: false, nodeName: '', hintZones: [], hintNodes: [], pod: '' },
    ],
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    triggeredAt: 0,
  });
});

test('a missing serving condition is true even where ready is false, as discovery/v1 says since Kubernetes 1.34', () => {
  const endpoints = [{ addresses: ['10.180.0.1'], conditions: { ready: false, serving: null, terminating: true } }];
  const [endpoint] = decodedAs<EndpointSlice>(slice({ endpoints })).endpoints;
  assert.deepEqual([endpoint?.ready, endpoint?.serving, endpoint?.terminating], [false, true, true]);
});

test('an endpoint keeps its node, hints and pod', () => {
  const hints = { forZones: [{ name: 'zone-a' }, { name: 'zone-b' }], forNodes: [{ name: 'n2' }] };
  const endpoints = [{ addresses: ['10.180.0.1', '10.180.0.2'], nodeName: 'n1', hints, targetRef: { kind: 'Pod', name: 'cart-0' } }];
  const [endpoint] = decodedAs<EndpointSlice>(slice({ endpoints })).endpoints;
  assert.deepEqual(endpoint, {
    address: '10.180.0.1',
    ready: true,
    serving: true,
    terminating: false,
    nodeName: 'n1',
    hintZones: ['zone-a', 'zone-b'],
    hintNodes: ['n2'],
    pod: 'shop/cart-0',
  });
});

test('a slice of nulls is an empty slice', () => {
  const read = decodedAs<EndpointSlice>(slice({ endpoints: null, ports: null }));
  assert.deepEqual([read.endpoints, read.ports], [[], []]);
});

test('endpoints without addresses and ports without numbers are left out with a warning', () => {
  const decoded = decodeObject(
    slice({ endpoints: [{ addresses: null }, { addresses: ['10.180.0.2'] }], ports: [{ name: 'all', port: null }] }),
  );
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'EndpointSlice');
  assert.deepEqual(
    decoded.object.value.endpoints.map(({ address }) => address),
    ['10.180.0.2'],
  );
  assert.deepEqual(decoded.warnings, [
    'EndpointSlice shop/cart-x7k2p: endpoints[0].addresses is empty, so the endpoint is left out',
    'EndpointSlice shop/cart-x7k2p: ports[0].port has no number, so the port is left out',
  ]);
});

test('a slice with a label that leaves it to others is not proxied, whatever the value of the label', () => {
  for (const label of ['headless', 'service-proxy-name']) {
    const metadata = { name: 'cart-x7k2p', namespace: 'shop', labels: { [`service.kubernetes.io/${label}`]: '' } };
    assert.equal(decodedAs<EndpointSlice>(slice({ metadata })).unproxied, true, label);
  }
  assert.equal(decodedAs<EndpointSlice>(slice({})).unproxied, undefined);
});
