import { parse } from 'yaml';
import { failure, type Result, success } from '#lib/result.ts';
import type { Given, GivenSettings } from './flags.ts';

/** What a configuration file says in the terms of the flags. */
export interface FileSettings {
  readonly settings: GivenSettings;
  /** One sentence for each field that is set and has no effect here. */
  readonly warnings: readonly string[];
}

/** Fields of kubeproxy.config.k8s.io/v1alpha1 (staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go) that are a flag here. */
const HONOURED: Readonly<Record<string, string>> = {
  hostnameOverride: 'hostname-override',
  clusterCIDR: 'cluster-cidr',
  detectLocalMode: 'detect-local-mode',
  'detectLocal.bridgeInterface': 'pod-bridge-interface',
  'detectLocal.interfaceNamePrefix': 'pod-interface-name-prefix',
  nodePortAddresses: 'nodeport-addresses',
  'iptables.masqueradeAll': 'masquerade-all',
  'nftables.masqueradeAll': 'masquerade-all',
  'iptables.localhostNodePorts': 'iptables-localhost-nodeports',
  'logging.verbosity': 'v',
};

const NO_RULES_TO_SYNC = 'changes are written at once, there is no periodic sync';
const NOT_YET = 'not served yet';

/** Other fields, or whole groups of them, and why they mean nothing here. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  featureGates: "weir has none of kube-proxy's feature gates",
  clientConnection: 'the Kubernetes API is not a source yet',
  logging: 'lines go to stderr in one format',
  bindAddress: 'weir listens on no Service address',
  bindAddressHardFail: 'weir listens on no Service address',
  healthzBindAddress: NOT_YET,
  metricsBindAddress: NOT_YET,
  showHiddenMetricsForVersion: NOT_YET,
  enableProfiling: 'there is no profiling endpoint',
  mode: 'weir has its own datapath',
  iptables: NO_RULES_TO_SYNC,
  ipvs: 'weir does not use IPVS',
  nftables: NO_RULES_TO_SYNC,
  winkernel: 'this is Linux',
  windowsRunAsService: 'this is Linux',
  oomScoreAdj: 'set it where the process is started',
  conntrack: "conntrack's sysctls are left as the node has them",
  configSyncPeriod: NO_RULES_TO_SYNC,
  portRange: 'no port is held open for a NodePort',
};

/** Reads kube-proxy's configuration file. `name` is for messages. */
export function readConfigFile(name: string, text: string): Result<FileSettings> {
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    return failure(`${name} does not parse as YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (!isRecord(content) || content['kind'] !== 'KubeProxyConfiguration')
    return failure(`${name} should hold kind KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1`);
  const { apiVersion: _apiVersion, kind: _kind, ...fields } = content;
  const settings = new Map<string, Given>();
  const warnings: string[] = [];
  const errors: string[] = [];
  for (const [field, value] of leaves(fields)) {
    const setting = HONOURED[field];
    const reason = WITHOUT_EFFECT[field] ?? WITHOUT_EFFECT[field.split('.')[0] ?? ''];
    if (setting !== undefined && !settings.has(setting)) settings.set(setting, { text: String(value), from: `${field} in ${name}` });
    else if (setting === undefined && reason !== undefined) warnings.push(`${field} in ${name} has no effect: ${reason}`);
    else if (setting === undefined) errors.push(`${name} has the field ${field}, which kube-proxy's v1alpha1 does not know`);
  }
  return errors.length > 0 ? failure(...errors) : success({ settings, warnings });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields that are set, as `group.field`. Empty and zero values are what `kubeadm` writes for "not set". */
function leaves(fields: Record<string, unknown>, path = ''): [string, unknown][] {
  return Object.entries(fields).flatMap(([key, value]): [string, unknown][] => {
    if (isRecord(value) && path === '') return leaves(value, `${key}.`);
    return isUnset(value) ? [] : [[path + key, value]];
  });
}

const isUnset = (value: unknown): boolean =>
  value === null || value === undefined || value === '' || value === 0 || (typeof value === 'object' && Object.keys(value).length === 0);
