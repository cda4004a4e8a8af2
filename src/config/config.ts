import type { Address, Prefix } from '#lib/address.ts';
import type { HostPort } from '#lib/host-port.ts';
import type { GrpcTarget } from '#lib/target.ts';

/** How a pod's source is told from an outside one (kube-proxy: detectLocalMode). */
export type LocalDetector =
  | { readonly mode: 'ClusterCIDR'; readonly prefixes: readonly Prefix[] }
  | { readonly mode: 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly name: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string }
  | { readonly mode: 'None' };

/** NodePort addresses: the primary ones, or networks that choose among the node's addresses, with the primary ones beside them if `primary`. */
export type NodePortAddresses =
  | { readonly mode: 'primary' }
  | { readonly mode: 'networks'; readonly prefixes: readonly Prefix[]; readonly primary?: true };

/** Where objects come from; the API server of a pod's own cluster where neither kubeconfig nor address are given. */
export type SourceConfig =
  | { readonly type: 'manifests'; readonly dir: string }
  | { readonly type: 'api'; readonly kubeconfig: string | undefined; readonly master: string | undefined }
  /** Without TLS only where nobody else can listen. */
  | { readonly type: 'kpng'; readonly target: GrpcTarget; readonly tls: TlsFileNames | undefined };

/** Paths of PEM files: a certificate, its key, and the authority of the other side. */
export interface TlsFileNames {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Connection tracking of the node (kube-proxy: KubeProxyConntrackConfiguration). Times are s; 0 leaves a setting as the node has it. */
export interface ConntrackSettings {
  readonly maxPerCore: number;
  /** At least so many entries, whatever the number of cores. */
  readonly min: number;
  readonly tcpEstablishedTimeout: number;
  readonly tcpCloseWaitTimeout: number;
  readonly tcpBeLiberal: boolean;
  readonly udpTimeout: number;
  readonly udpStreamTimeout: number;
}

/** Everything that `weir run` was told, checked and frozen. */
export interface Config {
  readonly nodeName: string;
  readonly source: SourceConfig;
  readonly localDetector: LocalDetector;
  readonly masqueradeAll: boolean;
  readonly nodePortAddresses: NodePortAddresses;
  /** Counts as the node's primary address of its family, whatever its Node object says. */
  readonly bindAddress: Address | undefined;
  /** A port of the agent itself that cannot be opened ends it. */
  readonly bindAddressHardFail: boolean;
  /** Beside those of ServiceCIDR objects. */
  readonly serviceCIDRs: readonly Prefix[];
  /** cgroup v2 folder that holds every process of this node. */
  readonly cgroupRoot: string | undefined;
  /** bpffs folder for pins. */
  readonly stateDir: string;
  /** Folder for what the API server said; undefined: nowhere. */
  readonly journalDir: string | undefined;
  /** Glob patterns of device names that get no program. */
  readonly excludeDevices: readonly string[];
  readonly socketScope: 'all' | 'host';
  /** NodePorts on 127.0.0.0/8 and ::1 for the node's own processes (kube-proxy: --iptables-localhost-nodeports). */
  readonly localhostNodePorts: boolean;
  /** Where `/healthz`, `/livez` and `/readyz` are served; undefined: nowhere. */
  readonly healthzBindAddress: HostPort | undefined;
  /** Where `/metrics` and `/proxyMode` are served; undefined: nowhere. */
  readonly metricsBindAddress: HostPort | undefined;
  readonly conntrack: ConntrackSettings;
  /** Of this process, -1000 to 1000; undefined: as it was started. */
  readonly oomScoreAdj: number | undefined;
  /** How many Service ports get metrics of their own. */
  readonly metricsMaxServices: number;
  /** Table name -> max_entries, for tables that differ from their default. */
  readonly mapSizes: Readonly<Record<string, number>>;
  /** Bit of skb->mark, bit of ct->mark. */
  readonly packetMark: number;
  readonly conntrackMark: number;
  /** -v: 0 = what an operator must know, 2 = what was written and attached. */
  readonly verbosity: number;
}
