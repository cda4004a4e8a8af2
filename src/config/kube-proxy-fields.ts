/**
 * Fields of KubeProxyConfiguration (k8s.io/kube-proxy, config/v1alpha1/types.go, with the logging and client fields of
 * k8s.io/component-base) that correspond to a flag: field -> long name of the flag.
 */
export const HONOURED: Readonly<Record<string, string>> = {
  hostnameOverride: 'hostname-override',
  clusterCIDR: 'cluster-cidr',
  detectLocalMode: 'detect-local-mode',
  'detectLocal.bridgeInterface': 'pod-bridge-interface',
  'detectLocal.interfaceNamePrefix': 'pod-interface-name-prefix',
  nodePortAddresses: 'nodeport-addresses',
  'iptables.masqueradeAll': 'masquerade-all',
  'nftables.masqueradeAll': 'masquerade-all',
  'iptables.localhostNodePorts': 'iptables-localhost-nodeports',
  'clientConnection.kubeconfig': 'kubeconfig',
  healthzBindAddress: 'healthz-bind-address',
  metricsBindAddress: 'metrics-bind-address',
  'logging.verbosity': 'v',
  bindAddress: 'bind-address',
  bindAddressHardFail: 'bind-address-hard-fail',
  oomScoreAdj: 'oom-score-adj',
  'conntrack.maxPerCore': 'conntrack-max-per-core',
  'conntrack.min': 'conntrack-min',
  'conntrack.tcpEstablishedTimeout': 'conntrack-tcp-timeout-established',
  'conntrack.tcpCloseWaitTimeout': 'conntrack-tcp-timeout-close-wait',
  'conntrack.tcpBeLiberal': 'conntrack-tcp-be-liberal',
  'conntrack.udpTimeout': 'conntrack-udp-timeout',
  'conntrack.udpStreamTimeout': 'conntrack-udp-timeout-stream',
};

const NO_SYNC = 'weir writes changes at once and has no periodic sync';
const FEW_REQUESTS = 'weir sends a request every few minutes, and reads JSON';
const NO_MARK = '--conntrack-mark and --masquerade-mark set the bits that weir uses';
const NO_IPVS = 'weir does not use IPVS';
const NOT_WINDOWS = 'weir runs on Linux only';
const ONE_FORMAT = 'weir logs to stderr in one format';

/** Fields without effect, with the reason. A group with `*` has fields of any name. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  'featureGates.*': "weir has none of kube-proxy's feature gates",
  ...group('clientConnection', 'acceptContentTypes contentType qps burst', FEW_REQUESTS),
  ...group('logging', 'format flushFrequency vmodule options', ONE_FORMAT),
  showHiddenMetricsForVersion: 'weir hides no metric',
  enableProfiling: 'weir has no profiling endpoint',
  mode: 'weir has its own datapath',
  ...group('iptables', 'syncPeriod minSyncPeriod', NO_SYNC),
  ...group('nftables', 'syncPeriod minSyncPeriod', NO_SYNC),
  'iptables.masqueradeBit': NO_MARK,
  'nftables.masqueradeBit': NO_MARK,
  ...group('ipvs', 'syncPeriod minSyncPeriod scheduler excludeCIDRs strictARP tcpTimeout tcpFinTimeout udpTimeout', NO_IPVS),
  ...group('winkernel', 'networkName sourceVip enableDSR rootHnsEndpointName forwardHealthCheckVip', NOT_WINDOWS),
  windowsRunAsService: NOT_WINDOWS,
  configSyncPeriod: NO_SYNC,
  portRange: 'weir opens no port for a NodePort',
};

/** Why a field of the file has no effect; undefined for an honoured or unknown field. */
export function reasonWithoutEffect(field: string, mode: unknown): string | undefined {
  // kube-proxy reads masqueradeAll from the group of its mode, and from iptables for all modes but nftables (v1alpha1/conversion.go)
  const other = mode === 'nftables' ? 'iptables' : 'nftables';
  if (field === `${other}.masqueradeAll`) return `mode is ${mode || 'not set'}, so kube-proxy reads the field of the other group`;
  return WITHOUT_EFFECT[field] ?? WITHOUT_EFFECT[field.replace(/\..*/, '.*')];
}

const KNOWN = [...Object.keys(HONOURED), ...Object.keys(WITHOUT_EFFECT)];

/** Whether a field of the file holds fields of its own. */
export const isGroup = (field: string): boolean => KNOWN.some((known) => known.startsWith(`${field}.`));

/** Whether kube-proxy has a field that is not a group. */
export const isField = (field: string): boolean => KNOWN.includes(field) || KNOWN.includes(field.replace(/\..*/, '.*'));

function group(name: string, fields: string, reason: string): Record<string, string> {
  return Object.fromEntries(fields.split(' ').map((field) => [`${name}.${field}`, reason]));
}
