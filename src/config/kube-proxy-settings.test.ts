import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from './config.ts';
import { readConfigFile } from './kube-proxy-file.ts';
import { parseConfig } from './parse-config.ts';

function parsed(...lines: string[]) {
  const file = readConfigFile(
    'kp.yaml',
    ['apiVersion: kubeproxy.config.k8s.io/v1alpha1', 'kind: KubeProxyConfiguration', ...lines].join('\n'),
  );
  assert.ok(file.ok, JSON.stringify(file));
  assert.deepEqual(file.value.warnings, []);
  return parseConfig(new Map([...file.value.settings, ['dir', { text: '/m', from: '--dir' }]]), 'host');
}

function configOf(...lines: string[]): Config {
  const result = parsed(...lines);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value.config;
}

test("conntrack settings come from kube-proxy's file, with kube-proxy's defaults", () => {
  assert.deepEqual(configOf().conntrack, {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeout: 86_400,
    tcpCloseWaitTimeout: 3600,
    tcpBeLiberal: false,
    udpTimeout: 0,
    udpStreamTimeout: 0,
  });
  const given =
    'conntrack: { maxPerCore: 0, min: 5, tcpEstablishedTimeout: 1h30m0s, tcpCloseWaitTimeout: 0s, tcpBeLiberal: true, udpTimeout: 1500ms, udpStreamTimeout: 2m }';
  assert.deepEqual(configOf(given).conntrack, {
    maxPerCore: 0,
    min: 5,
    tcpEstablishedTimeout: 5400,
    tcpCloseWaitTimeout: 0,
    tcpBeLiberal: true,
    udpTimeout: 1,
    udpStreamTimeout: 120,
  });
});

test('an error names the field of the file', () => {
  const result = parsed('conntrack: { udpTimeout: 5 minutes }', 'oomScoreAdj: -2000', 'bindAddress: here');
  assert.deepEqual(result.ok || [...result.errors].sort(), [
    'bindAddress in kp.yaml is "here", must be an address such as 192.0.2.1',
    'conntrack.udpTimeout in kp.yaml is "5 minutes", must be a time such as 30s or 24h0m0s',
    'oomScoreAdj in kp.yaml is "-2000", must be a whole number from -1000 to 1000',
  ]);
});

test('an IPv6 bindAddress moves the ports of the agent to IPv6; the zero address sets no primary address', () => {
  const { bindAddress, healthzBindAddress, metricsBindAddress } = configOf('bindAddress: 2001:db8::2');
  assert.equal(bindAddress, '2001:db8::2');
  assert.deepEqual(
    [healthzBindAddress, metricsBindAddress],
    [
      { address: '::', port: 10_256 },
      { address: '::1', port: 10_249 },
    ],
  );
  for (const zero of ['0.0.0.0', '"::"']) assert.equal(configOf(`bindAddress: ${zero}`).bindAddress, undefined);
});

test('oomScoreAdj and bindAddressHardFail are read, and keep their defaults if not set', () => {
  assert.deepEqual([configOf().oomScoreAdj, configOf().bindAddressHardFail], [undefined, false]);
  assert.equal(configOf('oomScoreAdj: -999').oomScoreAdj, -999);
  assert.equal(configOf('bindAddressHardFail: true').bindAddressHardFail, true);
});
