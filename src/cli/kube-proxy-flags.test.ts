import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { FLAGS } from '#config/flags.ts';
import { FLAGS_WITHOUT_EFFECT } from '#config/kube-proxy-flags.ts';
import { type ParsedConfig, parseConfig } from '#config/parse-config.ts';
import { formatPrefix } from '#lib/address.ts';
import type { Result } from '#lib/result.ts';
import { flagOption, givenFlags, withDashes } from './flag-options.ts';

const ALL = [...FLAGS, ...FLAGS_WITHOUT_EFFECT];

/** Parses the command line of `weir run`. */
function parse(...argv: string[]): Result<ParsedConfig> {
  const command = new Command('run').exitOverride().configureOutput({ writeErr: () => {} });
  for (const flag of ALL) command.addOption(flagOption(flag));
  command.parse(withDashes(['--cluster-cidr=10.0.0.0/8', '--dir=/m', ...argv]), {
    from: 'user',
  });
  return parseConfig(givenFlags(command), 'host');
}

function parsed(...argv: string[]): ParsedConfig {
  const result = parse(...argv);
  assert.ok(result.ok, `${argv.join(' ')}: ${result.ok || result.errors.join('; ')}`);
  return result.value;
}

/** All flags of kube-proxy 1.36 and 1.37 on Linux that mean the same here, each with a value that kube-proxy accepts. */
const WITH_EFFECT = `
--bind-address=192.0.2.1 --bind-address-hard-fail --cleanup=false --cluster-cidr=10.0.0.0/8 --config=/c --conntrack-max-per-core=1
--conntrack-min=1 --conntrack-tcp-be-liberal --conntrack-tcp-timeout-close-wait=1h --conntrack-tcp-timeout-established=24h0m0s
--conntrack-udp-timeout=1.5s --conntrack-udp-timeout-stream=.5m --detect-local-mode=ClusterCIDR --healthz-bind-address=0.0.0.0:10256
--hostname-override=n1 --init-only=false --iptables-localhost-nodeports --masquerade-all --metrics-bind-address=127.0.0.1
--nodeport-addresses=primary --oom-score-adj=-999 --pod-bridge-interface=cni0 --pod-interface-name-prefix=veth -v=2 --v=2 --version=false
--bind-address= --detect-local-mode= --hostname-override= --healthz-bind-address= --metrics-bind-address= --nodeport-addresses=`;

/** The others, with the reason that the log gives. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  'config-sync-period=15m0s': 'weir writes changes at once and has no periodic sync',
  'feature-gates=A=true,B=false': "weir has none of kube-proxy's feature gates",
  'iptables-masquerade-bit=14': '--conntrack-mark and --masquerade-mark set the bits that weir uses',
  'iptables-min-sync-period=1s': 'weir writes changes at once and has no periodic sync',
  'iptables-sync-period=30s': 'weir writes changes at once and has no periodic sync',
  'ipvs-exclude-cidrs=10.0.0.0/8': 'weir does not use IPVS',
  'ipvs-min-sync-period=1s': 'weir does not use IPVS',
  'ipvs-scheduler=rr': 'weir does not use IPVS',
  'ipvs-strict-arp': 'weir does not use IPVS',
  'ipvs-sync-period=30s': 'weir does not use IPVS',
  'ipvs-tcp-timeout=0s': 'weir does not use IPVS',
  'ipvs-tcpfin-timeout=0s': 'weir does not use IPVS',
  'ipvs-udp-timeout=0s': 'weir does not use IPVS',
  'kube-api-burst=10': 'weir sends a request every few minutes, and reads JSON',
  'kube-api-content-type=application/vnd.kubernetes.protobuf': 'weir sends a request every few minutes, and reads JSON',
  'kube-api-qps=5': 'weir sends a request every few minutes, and reads JSON',
  'log-flush-frequency=5s': 'weir logs to stderr in one format',
  'log-json-info-buffer-size=0': 'weir logs to stderr in one format',
  'log-json-split-stream': 'weir logs to stderr in one format',
  'log-text-info-buffer-size=64Ki': 'weir logs to stderr in one format',
  'log-text-split-stream=false': 'weir logs to stderr in one format',
  'logging-format=json': 'weir logs to stderr in one format',
  profiling: 'weir has no profiling endpoint',
  'proxy-mode=iptables': 'weir has its own datapath',
  'proxy-mode=': 'weir has its own datapath',
  'show-hidden-metrics-for-version=1.36': 'weir hides no metric',
  'vmodule=proxier=4': 'weir logs to stderr in one format',
  'enable-dsr': 'weir runs on Linux only',
  'forward-healthcheck-vip': 'weir runs on Linux only',
  'network-name=n': 'weir runs on Linux only',
  'root-hnsendpoint-name=cbr0': 'weir runs on Linux only',
  'source-vip=192.0.2.1': 'weir runs on Linux only',
  'windows-service': 'weir runs on Linux only',
};

for (const flag of WITH_EFFECT.trim().split(/\s+/)) {
  test(`kube-proxy's ${flag} is accepted`, () => assert.deepEqual(parsed(flag).warnings, []));
}

for (const [flag, reason] of Object.entries(WITHOUT_EFFECT)) {
  test(`kube-proxy's --${flag} is accepted, and one line says why it has no effect`, () => {
    assert.deepEqual(parsed(`--${flag}`).warnings, [`--${flag.split('=')[0]} has no effect: ${reason}`]);
  });
}

test('flags of kube-proxy that end after one task do the same here; a configuration file is not written', () => {
  assert.equal(parsed().once, undefined);
  assert.equal(parsed('--init-only').once, 'init');
  assert.equal(parsed('--cleanup', '--init-only').once, 'cleanup');
  assert.equal(parsed('--version', '--cleanup').once, 'version');
  const refused = parse('--write-config-to=/tmp/c');
  assert.deepEqual(refused.ok || refused.errors, [
    '--write-config-to is "/tmp/c", must be absent: weir writes no configuration file, it reads kube-proxy\'s',
  ]);
});

test('--healthz-port and --metrics-port disable a port of the agent, or complete an address, as in kube-proxy', () => {
  const { config, warnings } = parsed('--healthz-port=0', '--metrics-port=9', '--metrics-bind-address=192.0.2.1');
  assert.deepEqual([config.healthzBindAddress, config.metricsBindAddress], [undefined, { address: '192.0.2.1', port: 9 }]);
  assert.deepEqual(warnings, [
    '--healthz-port is deprecated: give --healthz-bind-address an address and a port',
    '--metrics-port is deprecated: give --metrics-bind-address an address and a port',
  ]);
  assert.deepEqual(parsed('--healthz-port=8080').config.healthzBindAddress, { address: '0.0.0.0', port: 10_256 });
  const wrong = parse('--healthz-port=70000');
  assert.deepEqual(wrong.ok || wrong.errors, ['--healthz-port is "70000", must be a whole number from 0 to 65535']);
});

const BOOLEANS = ALL.filter(({ flags }) => flags.endsWith('[bool]')).map(({ flags }) => flags.split(' ')[0] ?? '');

test("boolean flags take the values of Go's strconv.ParseBool, and no others", () => {
  assert.ok(BOOLEANS.length >= 13, `saw ${BOOLEANS.join(' ')}`);
  for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False']) {
    assert.equal(parsed(`--masquerade-all=${value}`).config.masqueradeAll, '1tT'.includes(value[0] ?? ''), value);
    for (const flag of BOOLEANS) parsed(`${flag}=${value}`);
  }
  assert.equal(parsed('--masquerade-all').config.masqueradeAll, true);
  assert.equal(parsed('--masquerade_all').config.masqueradeAll, true);
  for (const flag of BOOLEANS) {
    for (const value of ['', 'yes', 'tRUE', '2']) {
      const result = parse(`${flag}=${value}`);
      assert.deepEqual(result.ok || result.errors, [`${flag} is "${value}", must be true or false`]);
    }
  }
});

const LISTS: readonly (readonly [flag: string, a: string, b: string, read: (parsed: ParsedConfig) => unknown])[] = [
  ['--nodeport-addresses', '192.0.2.0/24', '198.51.100.0/24', ({ config }) => config.nodePortAddresses],
  ['--service-cidr', '10.96.0.0/16', 'fd00:96::/112', ({ config }) => config.serviceCIDRs],
  ['--exclude-devices', 'eth*', 'wg0', ({ config }) => config.excludeDevices],
  ['--map-size', 'backends=10', 'slots=20', ({ config }) => config.mapSizes],
];

for (const [flag, a, b, read] of LISTS) {
  test(`${flag} given twice adds up, like one list`, () => {
    assert.deepEqual(read(parsed(flag, a, flag, b)), read(parsed(flag, `${a},${b}`)));
    assert.notDeepEqual(read(parsed(flag, b)), read(parsed(flag, a, flag, b)));
  });
}

test('of --cluster-cidr the last one counts, because kube-proxy has a text there, which a further flag replaces', () => {
  const { config } = parsed('--cluster-cidr=10.0.0.0/8', '--cluster-cidr=fd00::/8,10.2.0.0/16');
  assert.ok(config.localDetector.mode === 'ClusterCIDR');
  assert.deepEqual(config.localDetector.prefixes.map(formatPrefix), ['fd00::/8', '10.2.0.0/16']);
});
