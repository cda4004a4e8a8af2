import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix } from '#lib/address.ts';
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

test('defaults equal the defaults of kube-proxy and of the README', () => {
  const config = configOf({});
  assert.equal(config.nodeName, 'host');
  assert.deepEqual(config.localDetector, { mode: 'None' });
  assert.deepEqual(config.nodePortAddresses, { mode: 'primary' });
  assert.equal(config.stateDir, '/sys/fs/bpf/weir');
  assert.equal(config.journalDir, '/run/weir');
  assert.equal(config.localhostNodePorts, true);
  assert.equal(config.masqueradeMark, 0x1000);
});

test('the journal has its default folder, another one, or none', () => {
  assert.equal(configOf({ 'journal-dir': '/var/lib/weir' }).journalDir, '/var/lib/weir');
  assert.equal(configOf({ 'journal-dir': '' }).journalDir, undefined);
});

test("/healthz has kube-proxy's default address, another one, or none", () => {
  const at = (text: string): unknown => configOf({ 'healthz-bind-address': text }).healthzBindAddress;
  assert.deepEqual(configOf({}).healthzBindAddress, { address: '0.0.0.0', port: 10_256 });
  assert.deepEqual(at('127.0.0.1:8080'), { address: '127.0.0.1', port: 8080 });
  assert.deepEqual(at('[::1]:8080'), { address: '::1', port: 8080 });
  assert.deepEqual(at('::'), { address: '::', port: 10_256 });
  assert.equal(at(''), undefined);
  for (const text of [':10256', '0.0.0.0:0', '0.0.0.0:65536', 'host:1'])
    assert.deepEqual(errorsOf({ 'healthz-bind-address': text }), [
      `--healthz-bind-address is "${text}", must be an address and port such as 0.0.0.0:10256, or empty`,
    ]);
});

test('a missing cluster range adds a warning, because Services behave differently', () => {
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

test('numbers of an address may have leading zeros and are decimal, as in kube-proxy (ParseIPSloppy, ParseCIDRSloppy)', () => {
  const config = configOf({
    'cluster-cidr': '010.244.000.0/16, ::ffff:10.10.0.0/112',
    'bind-address': '192.0.2.010',
    'healthz-bind-address': '127.0.0.01:8080',
    'nodeport-addresses': '192.000.2.0/24',
  });
  assert.deepEqual(config.localDetector.mode === 'ClusterCIDR' && config.localDetector.prefixes.map(formatPrefix), [
    '10.244.0.0/16',
    '10.10.0.0/16',
  ]);
  assert.equal(config.bindAddress, '192.0.2.10');
  assert.deepEqual(config.healthzBindAddress, { address: '127.0.0.1', port: 8080 });
  assert.deepEqual(config.nodePortAddresses, { mode: 'networks', prefixes: [{ address: '192.0.2.0', length: 24 }] });
});

test('an error names the flag, its value and the valid values', () => {
  const cases: [Record<string, string>, string][] = [
    [{ 'cluster-cidr': '10.0.0.0' }, '--cluster-cidr is "10.0.0.0", must be networks such as 10.244.0.0/16, comma separated'],
    [{ 'socket-scope': 'pods' }, '--socket-scope is "pods", must be all or host'],
    [
      { 'masquerade-mark': '0x4000' },
      '--masquerade-mark is "0x4000", must be one bit of 32, such as 0x2000, but not 0x4000 or 0x8000 (kube-proxy)',
    ],
    [
      { 'masquerade-mark': '0x3' },
      '--masquerade-mark is "0x3", must be one bit of 32, such as 0x2000, but not 0x4000 or 0x8000 (kube-proxy)',
    ],
    [
      { 'node-name': 'a', 'hostname-override': 'b' },
      '--node-name is "a", must be the same as --hostname-override (b), or only one of them set',
    ],
    [
      { 'detect-local-mode': 'BridgeInterface' },
      '--pod-bridge-interface is "", must be a name, because --detect-local-mode is BridgeInterface',
    ],
    [{ source: 'kpng' }, '--source is "kpng", must be api, manifests or kpng=ADDRESS'],
    [{ source: 'manifests', dir: '' }, '--dir is "", must be a folder, because --source is manifests'],
    [{ kubeconfig: '/k' }, '--dir and --kubeconfig or --master are given: choose with --source manifests or --source api'],
    [
      { 'nodeport-addresses': 'primary,192.0.2.300/24' },
      '--nodeport-addresses is "primary,192.0.2.300/24", must be networks such as 192.0.2.0/24, "primary", "all" or "localhost"',
    ],
    [{ 'state-dir': 'x' }, '--state-dir is "x", must be an absolute path'],
    [{ 'journal-dir': 'x' }, '--journal-dir is "x", must be an absolute path'],
    [{ v: '-1' }, '--v is "-1", must be a whole number'],
    [{ 'iptables-localhost-nodeports': 'yes' }, '--iptables-localhost-nodeports is "yes", must be true or false'],
  ];
  for (const [values, message] of cases) assert.deepEqual(errorsOf(values), [message]);
});

test('the API is the source unless --dir is set; flags of another source add a warning', () => {
  const sourceOf = (values: Record<string, string>) => {
    const result = parseConfig(flags({ 'cluster-cidr': '10.0.0.0/8', ...values }), 'host');
    return result.ok ? [result.value.config.source, ...result.value.warnings] : result.errors;
  };
  assert.deepEqual(sourceOf({}), [{ type: 'manifests', dir: '/m' }]);
  assert.deepEqual(sourceOf({ dir: '' }), [{ type: 'api', kubeconfig: undefined, master: undefined }]);
  assert.deepEqual(sourceOf({ dir: '', kubeconfig: '/k', master: 'https://m' }), [{ type: 'api', kubeconfig: '/k', master: 'https://m' }]);
  assert.deepEqual(sourceOf({ source: 'api', kubeconfig: '/k' }), [
    { type: 'api', kubeconfig: '/k', master: undefined },
    '--dir has no effect with --source api',
  ]);
  assert.deepEqual(sourceOf({ source: 'manifests', kubeconfig: '/k' }), [
    { type: 'manifests', dir: '/m' },
    '--kubeconfig and --master have no effect with --source manifests',
  ]);
});

test('every wrong flag is reported, not only the first', () => {
  assert.equal(errorsOf({ v: 'x', 'socket-scope': 'y', 'map-size': 'nosuch=1' }).length, 3);
});

test('sizes of several tables are accepted, sizes of unknown tables are rejected', () => {
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
mode: nftables
`;

test("kube-proxy's file is read; a field without effect adds a warning with the reason", () => {
  const file = readConfigFile('kp.yaml', FILE);
  assert.ok(file.ok);
  const config = parseConfig(new Map([...flags({}), ...file.value.settings]), 'host');
  assert.ok(config.ok);
  assert.equal(config.value.config.masqueradeAll, true);
  assert.deepEqual(config.value.config.nodePortAddresses, { mode: 'networks', prefixes: [{ address: '192.0.2.0', length: 24 }] });
  assert.deepEqual(file.value.warnings, [
    'nftables.syncPeriod in kp.yaml has no effect: weir writes changes at once and has no periodic sync',
    'mode in kp.yaml has no effect: weir has its own datapath',
  ]);
});

const fileOf = (...lines: string[]) =>
  readConfigFile('kp.yaml', ['apiVersion: kubeproxy.config.k8s.io/v1alpha1', 'kind: KubeProxyConfiguration', ...lines].join('\n'));

test('a flag overrides the file', () => {
  const file = fileOf('hostnameOverride: from-file', 'clusterCIDR: 10.0.0.0/8');
  assert.ok(file.ok);
  const result = parseConfig(new Map([...file.value.settings, ...flags({ 'node-name': 'n1', 'cluster-cidr': '10.244.0.0/16' })]), 'host');
  assert.ok(result.ok);
  assert.equal(result.value.config.nodeName, 'n1');
  assert.deepEqual(result.value.config.localDetector, { mode: 'ClusterCIDR', prefixes: [{ address: '10.244.0.0', length: 16 }] });
});

test('a wrong value in the file is reported by its field', () => {
  const file = fileOf('clusterCIDR: nonsense');
  assert.ok(file.ok);
  const config = parseConfig(new Map([...flags({}), ...file.value.settings]), 'host');
  assert.deepEqual(config.ok || config.errors, [
    'clusterCIDR in kp.yaml is "nonsense", must be networks such as 10.244.0.0/16, comma separated',
  ]);
});

test('masqueradeAll comes from the group of the mode, as in kube-proxy', () => {
  const groups = ['iptables: { masqueradeAll: false }', 'nftables: { masqueradeAll: true }'];
  for (const [mode, expected] of [
    ['nftables', 'true'],
    ['iptables', 'false'],
    ['""', 'false'],
  ] as const) {
    const file = fileOf(`mode: ${mode}`, ...groups);
    assert.ok(file.ok);
    assert.equal(file.value.settings.get('masquerade-all')?.text, expected, mode);
  }
});

test('empty values that kubeadm writes for unset fields add no warning', () => {
  const file = fileOf(
    'bindAddress: 0.0.0.0',
    'bindAddressHardFail: false',
    'clientConnection: { acceptContentTypes: "", burst: 0, kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0 }',
    'configSyncPeriod: 0s',
    'conntrack: { maxPerCore: null, min: null, tcpBeLiberal: false, udpTimeout: 0s }',
    'detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" }',
    'enableProfiling: false',
    'ipvs: { excludeCIDRs: null, strictARP: false, syncPeriod: 0s }',
    'logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" }, text: { infoBufferSize: "0" } }, verbosity: 0 }',
    'nodePortAddresses: null',
    'winkernel: { enableDSR: false, networkName: "" }',
  );
  assert.deepEqual(file.ok && file.value.warnings, []);
  const used = fileOf('logging: { options: { json: { infoBufferSize: "64Ki" } } }');
  assert.deepEqual(used.ok && used.value.warnings, ['logging.options in kp.yaml has no effect: weir logs to stderr in one format']);
});

test('a file that kube-proxy would reject is rejected', () => {
  for (const [line, message] of [
    ['iptables: 5', 'iptables in kp.yaml is "5", must be a mapping of fields'],
    ['nftables: [a]', 'nftables in kp.yaml is "a", must be a mapping of fields'],
    ['hostnameOverride: { a: b }', 'hostnameOverride in kp.yaml is a mapping, must be a value'],
    ['{', 'kp.yaml does not parse: line 3: '],
  ] as const) {
    const file = fileOf(line);
    assert.ok(!file.ok && file.errors.length === 1 && file.errors[0]?.startsWith(message), `${line}: ${JSON.stringify(file)}`);
  }
  const old = readConfigFile('kp.yaml', 'apiVersion: componentconfig/v1alpha1\nkind: KubeProxyConfiguration\n');
  assert.deepEqual(old.ok || old.errors, ['kp.yaml: apiVersion is "componentconfig/v1alpha1", must be kubeproxy.config.k8s.io/v1alpha1']);
  const none = readConfigFile('kp.yaml', `a: 1\n---\n${FILE}`);
  assert.deepEqual(none.ok || none.errors, ['kp.yaml should hold a KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1']);
});

test('a file that kube-proxy reads leniently is read, with one warning for each part that has no effect', () => {
  const NO_FIELD = "has no effect: kube-proxy's v1alpha1 has no such field";
  for (const [line, ...warnings] of [
    ['clusterCidr: 10.0.0.0/8', `clusterCidr in kp.yaml ${NO_FIELD}`],
    ['metadata: { name: kube-proxy, namespace: kube-system }', `metadata in kp.yaml ${NO_FIELD}`],
    ['nftables: { masquerade: true, other: 0 }', `nftables.masquerade in kp.yaml ${NO_FIELD}`, `nftables.other in kp.yaml ${NO_FIELD}`],
    ['---\na: 1\n---\n- 2', 'kp.yaml holds 3 documents: kube-proxy and weir read the first one only'],
  ]) {
    const file = fileOf('clusterCIDR: 10.9.0.0/16', line ?? '');
    assert.ok(file.ok, JSON.stringify(file));
    assert.deepEqual(file.value.warnings, warnings);
    assert.equal(file.value.settings.get('cluster-cidr')?.text, '10.9.0.0/16');
  }
});

test('of a repeated field the last value counts, with a warning, as in kube-proxy', () => {
  const file = fileOf('clusterCIDR: 10.9.0.0/16', 'clusterCIDR: 10.8.0.0/16');
  assert.ok(file.ok, JSON.stringify(file));
  assert.equal(file.value.settings.get('cluster-cidr')?.text, '10.8.0.0/16');
  assert.deepEqual(file.value.warnings, ['kp.yaml repeats a field in line 4: of the fields with one name the last one counts']);
});

test('the file is read as YAML 1.1, as in kube-proxy', () => {
  const file = fileOf('bindAddressHardFail: yes', 'iptables: { masqueradeAll: on, localhostNodePorts: off }', 'conntrack: { min: 0x10 }');
  assert.ok(file.ok, JSON.stringify(file));
  const texts = Object.fromEntries([...file.value.settings].map(([name, { text }]) => [name, text]));
  assert.deepEqual(texts, {
    'bind-address-hard-fail': 'true',
    'masquerade-all': 'true',
    'iptables-localhost-nodeports': 'false',
    'conntrack-min': '16',
  });
});

test('keywords expand to the same networks as in kube-proxy', () => {
  const networks = (text: string): unknown => {
    const { nodePortAddresses } = configOf({ 'nodeport-addresses': text });
    if (nodePortAddresses.mode === 'primary') return 'primary';
    return [...(nodePortAddresses.primary ? ['primary'] : []), ...nodePortAddresses.prefixes.map(formatPrefix)].join();
  };
  for (const [text, expected] of [
    ['primary', 'primary'],
    ['', 'primary'],
    ['primary,localhost', 'primary'],
    ['localhost', '127.0.0.0/8,::1/128'],
    ['all', '0.0.0.0/0,::/0'],
    ['primary,all,192.0.2.0/24', '0.0.0.0/0,::/0'],
    ['192.0.2.0/24,localhost', '192.0.2.0/24,127.0.0.0/8,::1/128'],
    ['192.0.2.0/24,primary', 'primary,192.0.2.0/24'],
    ['primary,192.0.2.0/24,localhost', 'primary,192.0.2.0/24,127.0.0.0/8,::1/128'],
  ] as const) {
    assert.equal(networks(text), expected, text);
  }
});
