import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from './config.ts';
import type { GivenSettings } from './flags.ts';
import { readConfigFile } from './kube-proxy-file.ts';
import { parseConfig } from './parse-config.ts';

const flags = (values: Record<string, string>): GivenSettings =>
  new Map(Object.entries({ dir: '/m', ...values }).map(([name, text]) => [name, { text, from: `--${name}` }]));

function configOf(values: Record<string, string>): Config {
  const result = parseConfig(flags(values), 'Host');
  assert.ok(result.ok, result.ok ? '' : result.errors.join('\n'));
  return result.value.config;
}

const errorsOf = (values: Record<string, string>): readonly string[] => {
  const result = parseConfig(flags(values), 'host');
  return result.ok ? [] : result.errors;
};

test('defaults are those of kube-proxy and of the README', () => {
  const config = configOf({});
  assert.equal(config.nodeName, 'host');
  assert.deepEqual(config.localDetector, { mode: 'None' });
  assert.deepEqual(config.nodePortAddresses, { mode: 'primary' });
  assert.equal(config.stateDir, '/sys/fs/bpf/weir');
  assert.equal(config.localhostNodePorts, true);
  assert.equal(config.packetMark, 0x2000);
});

test('a missing cluster range is said, because Services behave differently without one', () => {
  const result = parseConfig(flags({}), 'host');
  assert.ok(result.ok && result.value.warnings[0]?.startsWith('No --cluster-cidr'));
});

test('ranges of both families are taken', () => {
  const { localDetector } = configOf({ 'cluster-cidr': '10.244.0.0/16, fd00:244::/32' });
  assert.deepEqual(localDetector, {
    mode: 'ClusterCIDR',
    prefixes: [
      { address: '10.244.0.0', length: 16 },
      { address: 'fd00:244::', length: 32 },
    ],
  });
});

test('each wrong flag is named with what it is and what it must be', () => {
  const cases: [Record<string, string>, string][] = [
    [{ 'cluster-cidr': '10.0.0.0' }, '--cluster-cidr is "10.0.0.0", must be networks such as 10.244.0.0/16, comma separated'],
    [{ 'socket-scope': 'pods' }, '--socket-scope is "pods", must be all or host'],
    [
      { 'packet-mark': '0x4000' },
      '--packet-mark is "0x4000", must be one bit of 32, such as 0x2000, but not 0x4000 or 0x8000 (kube-proxy)',
    ],
    [{ 'packet-mark': '0x3' }, '--packet-mark is "0x3", must be one bit of 32, such as 0x2000, but not 0x4000 or 0x8000 (kube-proxy)'],
    [
      { 'node-name': 'a', 'hostname-override': 'b' },
      '--node-name is "a", must be the same as --hostname-override (b), or one of the two left out',
    ],
    [
      { 'detect-local-mode': 'BridgeInterface' },
      '--pod-bridge-interface is "", must be a name, because --detect-local-mode is BridgeInterface',
    ],
    [{ source: 'api' }, '--source is "api", must be manifests: the Kubernetes API is not a source yet'],
    [{ 'state-dir': 'x' }, '--state-dir is "x", must be an absolute path'],
    [{ v: '-1' }, '--v is "-1", must be a whole number'],
    [{ 'iptables-localhost-nodeports': 'yes' }, '--iptables-localhost-nodeports is "yes", must be true or false'],
  ];
  for (const [values, message] of cases) assert.deepEqual(errorsOf(values), [message]);
});

test('every wrong flag is reported, not only the first', () => {
  assert.equal(errorsOf({ v: 'x', 'socket-scope': 'y', 'map-size': 'nosuch=1' }).length, 3);
});

test('sizes of several tables are taken, those of unknown tables are refused', () => {
  assert.deepEqual(configOf({ 'map-size': 'backends=10,slots=20' }).mapSizes, { backends: 10, slots: 20 });
  assert.match(
    errorsOf({ 'map-size': 'backend=10' })[0] ?? '',
    /^--map-size is "backend=10", must be NAME=N with N from 1 and NAME one of addresses, /,
  );
});

const FILE = `
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: 10.0.0.0/8
detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" }
nodePortAddresses: ["192.0.2.0/24"]
nftables: { masqueradeAll: true, syncPeriod: 30s }
conntrack: { maxPerCore: 1000, min: 0 }
mode: nftables
`;

test("kube-proxy's file is read, and what has no effect is said with the reason", () => {
  const file = readConfigFile('kp.yaml', FILE);
  assert.ok(file.ok);
  const config = parseConfig(new Map([...flags({}), ...file.value.settings]), 'host');
  assert.ok(config.ok);
  assert.equal(config.value.config.masqueradeAll, true);
  assert.deepEqual(config.value.config.nodePortAddresses, { mode: 'networks', prefixes: [{ address: '192.0.2.0', length: 24 }] });
  assert.deepEqual(file.value.warnings, [
    'nftables.syncPeriod in kp.yaml has no effect: changes are written at once, there is no periodic sync',
    "conntrack.maxPerCore in kp.yaml has no effect: conntrack's sysctls are left as the node has them",
    'mode in kp.yaml has no effect: weir has its own datapath',
  ]);
});

test('a wrong value in the file is reported by its field', () => {
  const file = readConfigFile('kp.yaml', 'kind: KubeProxyConfiguration\nclusterCIDR: nonsense\n');
  assert.ok(file.ok);
  const config = parseConfig(new Map([...flags({}), ...file.value.settings]), 'host');
  assert.deepEqual(config.ok || config.errors, [
    'clusterCIDR in kp.yaml is "nonsense", must be networks such as 10.244.0.0/16, comma separated',
  ]);
});

test('a field that kube-proxy does not know is refused', () => {
  const file = readConfigFile('kp.yaml', 'kind: KubeProxyConfiguration\nclusterCidr: 10.0.0.0/8\n');
  assert.deepEqual(file.ok || file.errors, ["kp.yaml has the field clusterCidr, which kube-proxy's v1alpha1 does not know"]);
});

test('a file of another kind is refused', () => {
  const file = readConfigFile('kp.yaml', 'kind: Pod\n');
  assert.deepEqual(file.ok || file.errors, ['kp.yaml should hold kind KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1']);
});
