import type { Address, Prefix } from '#lib/address.ts';
import type { HostPort } from '#lib/host-port.ts';
import type { GrpcTarget } from '#lib/target.ts';

/** How to distinguish the source addresses of pods from outside ones (kube-proxy: detectLocalMode). */
export type LocalDetector =
  | { readonly mode: 'ClusterCIDR'; readonly prefixes: readonly Prefix[] }
  | { readonly mode: 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly name: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string }
  | { readonly mode: 'None' };

/** NodePort addresses: the primary ones, or the node's addresses in `prefixes`, plus the primary ones if `primary`. */
export type NodePortAddresses =
  | { readonly mode: 'primary' }
  | { readonly mode: 'networks'; readonly prefixes: readonly Prefix[]; readonly primary?: true };

/** Source of objects. Without kubeconfig and master it is the API server of the pod's own cluster. */
export type SourceConfig =
  | { readonly type: 'manifests'; readonly dir: string }
  | { readonly type: 'api'; readonly kubeconfig: string | undefined; readonly master: string | undefined }
  /** Undefined only for a Unix socket or loopback. */
  | { readonly type: 'kpng'; readonly target: GrpcTarget; readonly tls: TlsFileNames | undefined };

/** Paths of PEM files: a certificate, its key, and the authority of the peer's certificate. */
export interface TlsFileNames {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Connection tracking of the node (kube-proxy: KubeProxyConntrackConfiguration). Times are s; 0 keeps the node's setting. */
export interface ConntrackSettings {
  readonly maxPerCore: number;
  /** Minimum of entries, whatever the number of cores. */
  readonly min: number;
  readonly tcpEstablishedTimeout: number;
  readonly tcpCloseWaitTimeout: number;
  readonly tcpBeLiberal: boolean;
  readonly udpTimeout: number;
  readonly udpStreamTimeout: number;
}

/** The validated, frozen configuration of `weir run`. */
export interface Config {
  readonly nodeName: string;
  readonly source: SourceConfig;
  readonly localDetector: LocalDetector;
  readonly masqueradeAll: boolean;
  readonly nodePortAddresses: NodePortAddresses;
  /** Primary address of its family, instead of the Node object's. */
  readonly bindAddress: Address | undefined;
  /** The agent exits if it cannot open one of its own ports. */
  readonly bindAddressHardFail: boolean;
  /** In addition to ServiceCIDR objects. */
  readonly serviceCIDRs: readonly Prefix[];
  /** cgroup v2 folder that contains every process of this node. */
  readonly cgroupRoot: string | undefined;
  /** bpffs folder for pins. */
  readonly stateDir: string;
  /** Folder of the journal; undefined: disabled. */
  readonly journalDir: string | undefined;
  /** Glob patterns of devices without a packet program. */
  readonly excludeDevices: readonly string[];
  readonly socketScope: 'all' | 'host';
  /** NodePorts on 127.0.0.0/8 and ::1 for the node's own processes (kube-proxy: --iptables-localhost-nodeports). */
  readonly localhostNodePorts: boolean;
  /** Address of `/healthz`, `/livez` and `/readyz`; undefined: disabled. */
  readonly healthzBindAddress: HostPort | undefined;
  /** Address of `/metrics` and `/proxyMode`; undefined: disabled. */
  readonly metricsBindAddress: HostPort | undefined;
  readonly conntrack: ConntrackSettings;
  /** Of this process, -1000 to 1000; undefined: unchanged. */
  readonly oomScoreAdj: number | undefined;
  /** Maximum of Service ports with metrics of their own. */
  readonly metricsMaxServices: number;
  /** Table name -> max_entries, for tables without their default size. */
  readonly mapSizes: Readonly<Record<string, number>>;
  /** How flows that enter as packets are translated, see PacketPathName of reconcile. */
  readonly packetPath: 'netfilter' | 'kfuncs';
  /** Two bits of ct->mark: of all flows that weir translates, and of flows that get an address of the node as their source. */
  readonly conntrackMark: number;
  readonly masqueradeMark: number;
  /** -v: 0 = essential messages, 2 = also table writes and attached programs. */
  readonly verbosity: number;
}
