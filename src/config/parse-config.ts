import { TABLES } from '#abi/generated.ts';
import { failure, type Result, success } from '#lib/result.ts';
import type { Config, LocalDetector, NodePortAddresses } from './config.ts';
import { DEFAULT_STATE_DIR, type GivenSettings } from './flags.ts';
import { readSettings, type SettingsReader } from './read-settings.ts';

/** A Config, and what an operator should know about how it came to be. */
export interface ParsedConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** `hostName`: the name of the node where none is given; lower-cased, as kubelet and kube-proxy do (pkg/util/node, GetHostname). */
export function parseConfig(given: GivenSettings, hostName: string): Result<ParsedConfig> {
  const read = readSettings(given);
  const warnings: string[] = [];
  const config: Config = {
    nodeName: nodeName(read, hostName),
    source: source(read),
    localDetector: localDetector(read, warnings),
    masqueradeAll: read.flag('masquerade-all', false),
    nodePortAddresses: nodePortAddresses(read),
    serviceCIDRs: read.prefixes('service-cidr'),
    cgroupRoot: read.text('cgroup-root'),
    stateDir: stateDir(read),
    excludeDevices: read.list('exclude-devices'),
    socketScope: read.choice('socket-scope', ['all', 'host'], 'all'),
    localhostNodePorts: read.flag('iptables-localhost-nodeports', true),
    mapSizes: mapSizes(read),
    packetMark: read.mark('packet-mark', 0x2000),
    conntrackMark: read.mark('conntrack-mark', 0x2000),
    verbosity: read.number('v', 0),
  };
  return read.errors.length > 0 ? failure(...read.errors) : success({ config: Object.freeze(config), warnings });
}

function nodeName(read: SettingsReader, hostName: string): string {
  const [own, familiar] = [read.text('node-name'), read.text('hostname-override')];
  if (own !== undefined && familiar !== undefined && own !== familiar)
    read.reject('node-name', `the same as --hostname-override (${familiar}), or one of the two left out`);
  return (own || familiar || hostName).trim().toLowerCase();
}

function source(read: SettingsReader): Config['source'] {
  const dir = read.text('dir') ?? '';
  if (read.text('source') === 'api') read.reject('source', 'manifests: the Kubernetes API is not a source yet');
  else if (read.choice('source', ['manifests'], 'manifests') === 'manifests' && dir === '')
    read.reject('dir', 'a folder of manifests (--source manifests --dir DIR); the Kubernetes API is not a source yet');
  return { type: 'manifests', dir };
}

const MODES = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'] as const;

/** ClusterCIDR without a range is no detector, as in kube-proxy (server_linux.go, getLocalDetectors). */
function localDetector(read: SettingsReader, warnings: string[]): LocalDetector {
  const mode = read.choice('detect-local-mode', MODES, 'ClusterCIDR');
  if (mode === 'NodeCIDR') return { mode };
  if (mode === 'BridgeInterface') return { mode, name: required(read, 'pod-bridge-interface', mode) };
  if (mode === 'InterfaceNamePrefix') return { mode, prefix: required(read, 'pod-interface-name-prefix', mode) };
  const prefixes = read.prefixes('cluster-cidr');
  if (prefixes.length > 0) return { mode, prefixes };
  warnings.push(
    'No --cluster-cidr: pods cannot be told from outsiders, so ClusterIP traffic keeps its source and policy Local holds for pods',
  );
  return { mode: 'None' };
}

function required(read: SettingsReader, name: string, mode: string): string {
  const text = read.text(name) ?? '';
  if (text === '') read.reject(name, `a name, because --detect-local-mode is ${mode}`);
  return text;
}

function nodePortAddresses(read: SettingsReader): NodePortAddresses {
  const text = read.text('nodeport-addresses') ?? '';
  return text === '' || text === 'primary' ? { mode: 'primary' } : { mode: 'networks', prefixes: read.prefixes('nodeport-addresses') };
}

function stateDir(read: SettingsReader): string {
  const dir = read.text('state-dir') ?? DEFAULT_STATE_DIR;
  if (!dir.startsWith('/')) read.reject('state-dir', 'an absolute path');
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
