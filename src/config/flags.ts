/** bpffs folder for pins where nothing else is said. */
export const DEFAULT_STATE_DIR = '/sys/fs/bpf/weir';

/** Folder for what the API server said where nothing else is said. */
export const DEFAULT_JOURNAL_DIR = '/run/weir';

/** Bit of ct->mark where nothing else is said. */
export const DEFAULT_CONNTRACK_MARK = 0x2000;

/** One flag of `weir run`, as commander takes it. `parse-config.ts` gives each its meaning. */
export interface Flag {
  /** For example `--cluster-cidr <ranges>`. */
  readonly flags: string;
  readonly help: string;
  /** Can be given several times. */
  readonly repeatable?: boolean;
}

/** Where objects come from. --kubeconfig and --master are kube-proxy's, --tls-... are KPNG's (client/tlsflags). */
export const SOURCE_FLAGS: readonly Flag[] = [
  { flags: '--kubeconfig <file>', help: 'how to reach the API server, for --source api (default: the service account of this pod)' },
  { flags: '--master <address>', help: "address of the API server instead of the kubeconfig's" },
  {
    flags: '--source <kind>',
    help: 'where objects come from: api, manifests, or kpng=ADDRESS for a KPNG server (default: manifests where --dir is given, else api)',
  },
  { flags: '--dir <folder>', help: 'folder of YAML and JSON files, for --source manifests' },
  { flags: '--tls-crt <file>', help: 'certificate to show to the KPNG server, for addresses that others can reach' },
  { flags: '--tls-key <file>', help: 'its key' },
  { flags: '--tls-ca <file>', help: 'authority of the certificate of the KPNG server' },
];

/** Flags that keep kube-proxy's names and meaning (pkg/proxy/apis/config, cmd/kube-proxy/app/options.go). */
const KUBE_PROXY_FLAGS: readonly Flag[] = [
  { flags: '--hostname-override <name>', help: 'name of this node among the Node objects (default: the host name)' },
  { flags: '--config <file>', help: "kube-proxy's configuration file; a flag that is given wins over it" },
  { flags: '--cluster-cidr <ranges>', help: 'pod ranges, comma separated; tells pods from outsiders' },
  {
    flags: '--detect-local-mode <mode>',
    help: 'how to tell pods from outsiders: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix (default: ClusterCIDR)',
  },
  { flags: '--pod-bridge-interface <name>', help: 'bridge that pods hang on, for BridgeInterface' },
  { flags: '--pod-interface-name-prefix <prefix>', help: "start of the names of pods' devices, for InterfaceNamePrefix" },
  {
    flags: '--nodeport-addresses <ranges>',
    help: 'networks whose addresses of this node answer NodePorts, comma separated; or "primary", "all", "localhost" (default: primary)',
  },
  { flags: '--masquerade-all [bool]', help: 'give every packet to a ClusterIP the node as its source' },
  { flags: '--iptables-localhost-nodeports [bool]', help: "NodePorts on loopback for the node's own processes (default: true)" },
  {
    flags: '--healthz-bind-address <ip:port>',
    help: 'where /healthz, /livez and /readyz are served, empty for nowhere (default: 0.0.0.0:10256)',
  },
  {
    flags: '--metrics-bind-address <ip:port>',
    help: 'where /metrics and /proxyMode are served, empty for nowhere (default: 127.0.0.1:10249)',
  },
  { flags: '--bind-address <ip>', help: "this node's primary address of its family (default: that of its Node object)" },
  { flags: '--bind-address-hard-fail [bool]', help: 'end when /healthz or /metrics cannot be served (default: try again)' },
  { flags: '--oom-score-adj <n>', help: 'oom_score_adj of the agent, -1000 to 1000 (default: as it was started)' },
  {
    flags: '--conntrack-max-per-core <n>',
    help: 'conntrack entries per processor core, 0 leaves nf_conntrack_max as it is (default: 32768)',
  },
  { flags: '--conntrack-min <n>', help: 'conntrack entries at least, whatever the number of cores (default: 131072)' },
  { flags: '--conntrack-tcp-timeout-established <time>', help: 'idle time of established TCP connections, 0 leaves it (default: 24h)' },
  { flags: '--conntrack-tcp-timeout-close-wait <time>', help: 'time of TCP connections in CLOSE_WAIT, 0 leaves it (default: 1h)' },
  { flags: '--conntrack-tcp-be-liberal [bool]', help: 'set nf_conntrack_tcp_be_liberal to 1' },
  { flags: '--conntrack-udp-timeout <time>', help: 'idle time of UDP flows without a reply, 0 leaves it (default: 0)' },
  { flags: '--conntrack-udp-timeout-stream <time>', help: 'idle time of UDP flows with replies, 0 leaves it (default: 0)' },
  { flags: '-v, --v <level>', help: 'how much to log: 0 what an operator must know, 2 also what was written and attached (default: 0)' },
];

/** Flags of weir's own. */
const OWN_FLAGS: readonly Flag[] = [
  { flags: '--node-name <name>', help: 'the same as --hostname-override' },
  {
    flags: '--service-cidr <ranges>',
    help: 'ClusterIP ranges beside those of ServiceCIDR objects, comma separated; traffic to addresses there that nobody owns is dropped',
  },
  { flags: '--cgroup-root <folder>', help: 'cgroup v2 folder with every process of this node (default: the cgroup v2 mount)' },
  { flags: '--state-dir <folder>', help: `bpffs folder for pins, mounted if need be (default: ${DEFAULT_STATE_DIR})` },
  {
    flags: '--journal-dir <folder>',
    help: `where it is written down what the API server says, for the next start, empty for nowhere (default: ${DEFAULT_JOURNAL_DIR})`,
  },
  { flags: '--exclude-devices <globs>', help: 'devices that get no program, comma separated, * and ? allowed', repeatable: true },
  { flags: '--socket-scope <scope>', help: 'whose sockets are translated: all, or host to serve pods by packets (default: all)' },
  { flags: '--metrics-max-services <n>', help: 'Service ports that get metrics of their own, 0 for none (default: 1000)' },
  { flags: '--map-size <name=n>', help: 'entries that a table takes, such as backends=1000000', repeatable: true },
  { flags: '--packet-mark <bit>', help: 'bit of skb->mark on packets to be refused (default: 0x2000)' },
  { flags: '--conntrack-mark <bit>', help: 'bit of ct->mark on conntrack entries that weir makes (default: 0x2000)' },
];

export const FLAGS: readonly Flag[] = [...SOURCE_FLAGS, ...KUBE_PROXY_FLAGS, ...OWN_FLAGS];

/** What was given, by long name without dashes, for example `cluster-cidr`. Repeated flags are joined by commas. */
export interface Given {
  readonly text: string;
  /** The flag or the file's field, for messages. */
  readonly from: string;
}

export type GivenSettings = ReadonlyMap<string, Given>;
