import { TABLES } from '#abi/generated.ts';
import { familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import type { HostPort } from '#lib/host-port.ts';
import { failure, type Result, success } from '#lib/result.ts';
import type { Config, ConntrackSettings, LocalDetector, NodePortAddresses } from './config.ts';
import { DEFAULT_CONNTRACK_MARK, DEFAULT_JOURNAL_DIR, DEFAULT_STATE_DIR, type GivenSettings } from './flags.ts';
import { type Once, readFlagsWithoutEffect, readOnce } from './kube-proxy-flags.ts';
import { parsePrefixes, readSettings, type SettingsReader } from './read-settings.ts';
import { readSource } from './read-source.ts';

/** A Config, and warnings for the operator. */
export interface ParsedConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
  /** Undefined: run the agent. */
  readonly once: Once | undefined;
}

/** `hostName`: default name of the node; lower-cased, as in kubelet and kube-proxy (pkg/util/node, GetHostname). */
export function parseConfig(given: GivenSettings, hostName: string): Result<ParsedConfig> {
  const read = readSettings(given);
  const warnings: string[] = [];
  readFlagsWithoutEffect(read, warnings);
  const once = readOnce(read);
  const bindAddress = read.address('bind-address');
  // As in kube-proxy, bindAddress of the file changes the default addresses of the ports; the flag does not (options.go)
  const isOfFile = bindAddress !== undefined && !read.isFlag('bind-address');
  const [all, loopback] = isOfFile && familyOf(bindAddress) === 6 ? ['[::]', '[::1]'] : ['0.0.0.0', '127.0.0.1'];
  const config: Config = {
    nodeName: nodeName(read, hostName),
    source: readSource(read, warnings),
    localDetector: localDetector(read, warnings),
    masqueradeAll: read.flag('masquerade-all', false),
    nodePortAddresses: nodePortAddresses(read),
    // kube-proxy's file has the zero address by default
    bindAddress: bindAddress === undefined || bindAddress === ZERO_ADDRESS[familyOf(bindAddress)] ? undefined : bindAddress,
    bindAddressHardFail: read.flag('bind-address-hard-fail', false),
    serviceCIDRs: read.prefixes('service-cidr'),
    cgroupRoot: read.text('cgroup-root'),
    stateDir: folder(read, 'state-dir', DEFAULT_STATE_DIR),
    journalDir: read.text('journal-dir') === '' ? undefined : folder(read, 'journal-dir', DEFAULT_JOURNAL_DIR),
    excludeDevices: read.list('exclude-devices'),
    socketScope: read.choice('socket-scope', ['all', 'host'], 'all'),
    localhostNodePorts: read.flag('iptables-localhost-nodeports', true),
    healthzBindAddress: ownAddress(read, 'healthz', `${all}:10256`, warnings),
    metricsBindAddress: ownAddress(read, 'metrics', `${loopback}:10249`, warnings),
    conntrack: conntrack(read),
    oomScoreAdj: read.integer('oom-score-adj', -1000, 1000),
    metricsMaxServices: read.number('metrics-max-services', 1000),
    mapSizes: mapSizes(read),
    packetPath: read.choice('packet-path', ['netfilter', 'kfuncs'], 'netfilter'),
    conntrackMark: read.mark('conntrack-mark', DEFAULT_CONNTRACK_MARK),
    masqueradeMark: read.mark('masquerade-mark', 0x1000),
    verbosity: read.number('v', 0),
  };
  if (config.conntrackMark === config.masqueradeMark)
    read.fail(`--masquerade-mark is ${hex(config.masqueradeMark)}; should be another bit than --conntrack-mark`);
  return read.errors.length > 0 ? failure(...read.errors) : success({ config: Object.freeze(config), warnings, once });
}

/** Address of a port of the agent. kube-proxy's deprecated flag for the port disables it, or completes an address (addressFromDeprecatedFlags). */
function ownAddress(read: SettingsReader, name: 'healthz' | 'metrics', fallback: string, warnings: string[]): HostPort | undefined {
  const port = read.integer(`${name}-port`, 0, 65_535);
  if (port !== undefined) warnings.push(`--${name}-port is deprecated: give --${name}-bind-address an address and a port`);
  const address = read.hostPort(`${name}-bind-address`, fallback, port);
  return port === 0 ? undefined : address;
}

const hex = (mark: number): string => `0x${mark.toString(16)}`;

/** Defaults of kube-proxy (apis/config/v1alpha1/defaults.go). */
const conntrack = (read: SettingsReader): ConntrackSettings => ({
  maxPerCore: read.number('conntrack-max-per-core', 32_768),
  min: read.number('conntrack-min', 131_072),
  tcpEstablishedTimeout: read.seconds('conntrack-tcp-timeout-established', 86_400),
  tcpCloseWaitTimeout: read.seconds('conntrack-tcp-timeout-close-wait', 3600),
  tcpBeLiberal: read.flag('conntrack-tcp-be-liberal', false),
  udpTimeout: read.seconds('conntrack-udp-timeout', 0),
  udpStreamTimeout: read.seconds('conntrack-udp-timeout-stream', 0),
});

function nodeName(read: SettingsReader, hostName: string): string {
  const [own, familiar] = [read.text('node-name'), read.text('hostname-override')];
  if (own !== undefined && familiar !== undefined && own !== familiar && read.isFlag('hostname-override'))
    read.reject('node-name', `the same as --hostname-override (${familiar}), or only one of them set`);
  return (own || familiar || hostName).trim().toLowerCase();
}

const MODES = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'] as const;

/** ClusterCIDR without a range means no detector, as in kube-proxy (server_linux.go, getLocalDetectors). */
function localDetector(read: SettingsReader, warnings: string[]): LocalDetector {
  const mode = read.choice('detect-local-mode', MODES, 'ClusterCIDR');
  if (mode === 'NodeCIDR') return { mode };
  if (mode === 'BridgeInterface') return { mode, name: required(read, 'pod-bridge-interface', mode) };
  if (mode === 'InterfaceNamePrefix') return { mode, prefix: required(read, 'pod-interface-name-prefix', mode) };
  const prefixes = read.prefixes('cluster-cidr');
  if (prefixes.length > 0) return { mode, prefixes };
  warnings.push(
    'No --cluster-cidr: weir cannot distinguish pods from outside clients, so ClusterIP traffic keeps its source and policy Local applies to pods',
  );
  return { mode: 'None' };
}

function required(read: SettingsReader, name: string, mode: string): string {
  const text = read.text(name) ?? '';
  if (text === '') read.reject(name, `a name, because --detect-local-mode is ${mode}`);
  return text;
}

const ALL = '0.0.0.0/0,::/0';
const LOCALHOST = '127.0.0.0/8,::1/128';

/** Keywords as in kube-proxy (server.go, expandNodePortAddressKeywords). The primary addresses come later, with the Node. */
function nodePortAddresses(read: SettingsReader): NodePortAddresses {
  const items = new Set(read.list('nodeport-addresses'));
  // Without networks, localhostNodePorts controls loopback
  if ([...items].every((item) => item === 'primary' || (item === 'localhost' && items.has('primary')))) return { mode: 'primary' };
  const primary = items.delete('primary') && !items.has('all');
  const text = [...items].map((item) => (item === 'localhost' ? LOCALHOST : item)).join(',');
  const prefixes = parsePrefixes(items.has('all') ? ALL : text);
  if (prefixes === undefined) read.reject('nodeport-addresses', 'networks such as 192.0.2.0/24, "primary", "all" or "localhost"');
  return { mode: 'networks', prefixes: prefixes ?? [], ...(primary && { primary }) };
}

function folder(read: SettingsReader, name: string, usual: string): string {
  const dir = read.text(name) ?? usual;
  if (!dir.startsWith('/')) read.reject(name, 'an absolute path');
  return dir;
}

function mapSizes(read: SettingsReader): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const item of read.list('map-size')) {
    const [, name, digits] = /^(\w+)=(\d{1,9})$/.exec(item) ?? [];
    if (name === undefined || !(name in TABLES) || Number(digits) < 1)
      read.reject('map-size', `NAME=N with N from 1 and NAME one of ${Object.keys(TABLES).join(', ')}`);
    else sizes[name] = Number(digits);
  }
  return sizes;
}
