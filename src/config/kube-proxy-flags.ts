import type { Flag } from './flags.ts';
import { reasonWithoutEffect } from './kube-proxy-fields.ts';
import type { SettingsReader } from './read-settings.ts';

/**
 * Flags of kube-proxy (cmd/kube-proxy/app/options.go, 1.36 and 1.37, and init_windows.go) that have no effect here, with the field of
 * KubeProxyConfiguration that each sets.
 */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  '--config-sync-period <time>': 'configSyncPeriod',
  '--feature-gates <gates>': 'featureGates.*',
  '--iptables-masquerade-bit <n>': 'iptables.masqueradeBit',
  '--iptables-min-sync-period <time>': 'iptables.minSyncPeriod',
  '--iptables-sync-period <time>': 'iptables.syncPeriod',
  '--ipvs-exclude-cidrs <ranges>': 'ipvs.excludeCIDRs',
  '--ipvs-min-sync-period <time>': 'ipvs.minSyncPeriod',
  '--ipvs-scheduler <name>': 'ipvs.scheduler',
  '--ipvs-strict-arp [bool]': 'ipvs.strictARP',
  '--ipvs-sync-period <time>': 'ipvs.syncPeriod',
  '--ipvs-tcp-timeout <time>': 'ipvs.tcpTimeout',
  '--ipvs-tcpfin-timeout <time>': 'ipvs.tcpFinTimeout',
  '--ipvs-udp-timeout <time>': 'ipvs.udpTimeout',
  '--kube-api-burst <n>': 'clientConnection.burst',
  '--kube-api-content-type <type>': 'clientConnection.contentType',
  '--kube-api-qps <n>': 'clientConnection.qps',
  '--log-flush-frequency <time>': 'logging.flushFrequency',
  '--log-json-info-buffer-size <size>': 'logging.options',
  '--log-json-split-stream [bool]': 'logging.options',
  '--log-text-info-buffer-size <size>': 'logging.options',
  '--log-text-split-stream [bool]': 'logging.options',
  '--logging-format <format>': 'logging.format',
  '--profiling [bool]': 'enableProfiling',
  '--proxy-mode <mode>': 'mode',
  '--show-hidden-metrics-for-version <version>': 'showHiddenMetricsForVersion',
  '--vmodule <levels>': 'logging.vmodule',
  '--enable-dsr [bool]': 'winkernel.enableDSR',
  '--forward-healthcheck-vip [bool]': 'winkernel.forwardHealthCheckVip',
  '--network-name <name>': 'winkernel.networkName',
  '--root-hnsendpoint-name <name>': 'winkernel.rootHnsEndpointName',
  '--source-vip <ip>': 'winkernel.sourceVip',
  '--windows-service [bool]': 'windowsRunAsService',
};

/** The flags of kube-proxy without effect; the help does not list them. */
export const FLAGS_WITHOUT_EFFECT: readonly Flag[] = Object.keys(WITHOUT_EFFECT).map((flags) => ({ flags, help: '', hidden: true }));

/** Adds a warning for each given flag without effect, and an error for a boolean or a time that kube-proxy would reject. */
export function readFlagsWithoutEffect(read: SettingsReader, warnings: string[]): void {
  for (const [flags, field] of Object.entries(WITHOUT_EFFECT)) {
    const [, name = '', form] = /^--(\S+) (.*)$/.exec(flags) ?? [];
    if (read.text(name) === undefined) continue;
    if (form === '[bool]') read.flag(name, false);
    if (form === '<time>') read.seconds(name, 0);
    warnings.push(`--${name} has no effect: ${reasonWithoutEffect(field, undefined)}`);
  }
}

/** What to do instead of following Services. */
export type Once = 'version' | 'cleanup' | 'init';

/** Flags of kube-proxy that end it after one task; undefined without such a flag. */
export function readOnce(read: SettingsReader): Once | undefined {
  if (read.text('write-config-to') !== undefined)
    read.reject('write-config-to', "absent: weir writes no configuration file, it reads kube-proxy's");
  const [cleanup, init] = [read.flag('cleanup', false), read.flag('init-only', false)];
  if ((read.text('version') ?? 'false') !== 'false') return 'version';
  return cleanup ? 'cleanup' : init ? 'init' : undefined;
}
