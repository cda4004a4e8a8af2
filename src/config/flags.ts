/** Default bpffs folder for pins. */
export const DEFAULT_STATE_DIR = '/sys/fs/bpf/weir';

/** Default folder of the journal of the API server's objects. */
export const DEFAULT_JOURNAL_DIR = '/run/weir';

/** Default bit of ct->mark. */
export const DEFAULT_CONNTRACK_MARK = 0x2000;

/** One flag of `weir run`, in commander's notation. `parse-config.ts` interprets it. */
export interface Flag {
  /** For example `--cluster-cidr <ranges>`. */
  readonly flags: string;
  readonly help: string;
  /** A list: a repeated flag adds to it, as to pflag's StringSlice. kube-proxy's --cluster-cidr is a text instead. */
  readonly repeatable?: boolean;
  /** The help does not list the flag. */
  readonly hidden?: boolean;
}

/** Flags of the source of objects. --kubeconfig and --master are kube-proxy's, --tls-... are KPNG's (client/tlsflags). */
export const SOURCE_FLAGS: readonly Flag[] = [
  { flags: '--kubeconfig <file>', help: 'kubeconfig of the API server, for --source api (default: the service account of this pod)' },
  { flags: '--master <address>', help: "address of the API server instead of the kubeconfig's" },
  {
    flags: '--source <kind>',
    help: 'source of objects: api, manifests, or kpng=ADDRESS for a KPNG server (default: manifests with --dir, else api)',
  },
  { flags: '--dir <folder>', help: 'folder of YAML and JSON files, for --source manifests' },
  { flags: '--tls-crt <file>', help: 'client certificate for the KPNG server, if its address is not a Unix socket or loopback' },
  { flags: '--tls-key <file>', help: 'key of that certificate' },
  { flags: '--tls-ca <file>', help: "authority of the KPNG server's certificate" },
];

/** Flags that keep kube-proxy's names and meaning (pkg/proxy/apis/config, cmd/kube-proxy/app/options.go). */
const KUBE_PROXY_FLAGS: readonly Flag[] = [
  { flags: '--hostname-override <name>', help: 'name of this node among the Node objects (default: the host name)' },
  { flags: '--config <file>', help: "kube-proxy's configuration file; flags override it" },
  { flags: '--cluster-cidr <ranges>', help: 'pod ranges, comma separated, to distinguish pods from outside clients' },
  {
    flags: '--detect-local-mode <mode>',
    help: 'how to distinguish pods from outside clients: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix (default: ClusterCIDR)',
  },
  { flags: '--pod-bridge-interface <name>', help: 'bridge of the pods, for BridgeInterface' },
  { flags: '--pod-interface-name-prefix <prefix>', help: "prefix of the names of pods' devices, for InterfaceNamePrefix" },
  {
    flags: '--nodeport-addresses <ranges>',
    help: 'networks of the node addresses that serve NodePorts, comma separated; or "primary", "all", "localhost" (default: primary)',
    repeatable: true,
  },
  { flags: '--masquerade-all [bool]', help: 'replace the source of all ClusterIP traffic by an address of the node' },
  { flags: '--iptables-localhost-nodeports [bool]', help: "serve NodePorts on loopback to the node's own processes (default: true)" },
  {
    flags: '--healthz-bind-address <ip:port>',
    help: 'address of /healthz, /livez and /readyz, empty to disable (default: 0.0.0.0:10256)',
  },
  {
    flags: '--metrics-bind-address <ip:port>',
    help: 'address of /metrics and /proxyMode, empty to disable (default: 127.0.0.1:10249)',
  },
  { flags: '--healthz-port <n>', help: 'deprecated: 0 disables --healthz-bind-address, another port completes an address without one' },
  { flags: '--metrics-port <n>', help: 'deprecated: 0 disables --metrics-bind-address, another port completes an address without one' },
  { flags: '--bind-address <ip>', help: "primary address of this node in that address's family (default: from its Node object)" },
  { flags: '--bind-address-hard-fail [bool]', help: 'exit if the address of /healthz or /metrics cannot be opened (default: retry)' },
  { flags: '--oom-score-adj <n>', help: 'oom_score_adj of the agent, -1000 to 1000 (default: unchanged)' },
  {
    flags: '--conntrack-max-per-core <n>',
    help: 'nf_conntrack_max for each processor core, 0 keeps the setting (default: 32768)',
  },
  { flags: '--conntrack-min <n>', help: 'minimum of nf_conntrack_max, whatever the number of cores (default: 131072)' },
  {
    flags: '--conntrack-tcp-timeout-established <time>',
    help: 'timeout of idle established TCP connections, 0 keeps the setting (default: 24h)',
  },
  {
    flags: '--conntrack-tcp-timeout-close-wait <time>',
    help: 'timeout of TCP connections in CLOSE_WAIT, 0 keeps the setting (default: 1h)',
  },
  { flags: '--conntrack-tcp-be-liberal [bool]', help: 'set nf_conntrack_tcp_be_liberal to 1' },
  { flags: '--conntrack-udp-timeout <time>', help: 'timeout of idle UDP flows without a reply, 0 keeps the setting (default: 0)' },
  { flags: '--conntrack-udp-timeout-stream <time>', help: 'timeout of idle UDP flows with replies, 0 keeps the setting (default: 0)' },
  { flags: '-v, --v <level>', help: 'log level: 0 essential messages, 2 also table writes and attached programs (default: 0)' },
  { flags: '--cleanup [bool]', help: 'remove everything that weir left on this node, as weir cleanup does, and exit' },
  { flags: '--init-only [bool]', help: 'set the sysctls of connection tracking, and exit' },
  { flags: '--version [form]', help: 'print the version, and exit' },
  { flags: '--write-config-to <file>', help: '', hidden: true },
];

/** Flags that only weir has. */
const OWN_FLAGS: readonly Flag[] = [
  { flags: '--node-name <name>', help: 'same as --hostname-override' },
  {
    flags: '--service-cidr <ranges>',
    help: 'ClusterIP ranges in addition to ServiceCIDR objects, comma separated; traffic to unassigned addresses in these ranges is dropped',
    repeatable: true,
  },
  { flags: '--cgroup-root <folder>', help: 'cgroup v2 folder that contains every process of this node (default: the cgroup v2 mount)' },
  { flags: '--state-dir <folder>', help: `bpffs folder for pins, mounted if necessary (default: ${DEFAULT_STATE_DIR})` },
  {
    flags: '--journal-dir <folder>',
    help: `folder of the journal of the API server's objects, from which the next start resumes, empty to disable (default: ${DEFAULT_JOURNAL_DIR})`,
  },
  { flags: '--exclude-devices <globs>', help: 'devices that get no packet program, comma separated, * and ? allowed', repeatable: true },
  {
    flags: '--socket-scope <scope>',
    help: "sockets to translate: all, or host for the node's own only, so that the packet path serves pods (default: all)",
  },
  { flags: '--metrics-max-services <n>', help: 'maximum number of Service ports with metrics of their own (default: 1000)' },
  { flags: '--map-size <name=n>', help: 'maximum number of entries of a table, such as backends=1000000', repeatable: true },
  {
    flags: '--packet-path <path>',
    help: 'who translates flows that enter as packets: netfilter (NAT chains of table inet weir) or kfuncs (the packet programs themselves) (default: netfilter)',
  },
  { flags: '--conntrack-mark <bit>', help: 'bit of ct->mark on flows that weir translates (default: 0x2000)' },
  { flags: '--masquerade-mark <bit>', help: 'bit of ct->mark on flows whose source weir replaces (default: 0x1000)' },
];

/** The flags of `weir run` that have an effect; the others are FLAGS_WITHOUT_EFFECT. */
export const FLAGS: readonly Flag[] = [...SOURCE_FLAGS, ...KUBE_PROXY_FLAGS, ...OWN_FLAGS];

/** The value of one setting. Values of a repeated list are joined by commas. */
export interface Given {
  readonly text: string;
  /** The flag or the file's field, for messages. */
  readonly from: string;
}

/** Settings by the long name of the flag without dashes, for example `cluster-cidr`. */
export type GivenSettings = ReadonlyMap<string, Given>;
