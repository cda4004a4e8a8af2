/** The configuration files of a node's daemons, as texts. */
import { DNS_ADDRESS, type KubeletNode, POD_RANGES } from './layout.ts';

/** Paths, outside and inside of a node alike. */
export interface NodePaths {
  /** Folder of the files below. */
  readonly dir: string;
  /** Folder of CNI plugins. */
  readonly plugins: string;
  readonly kubeconfig: string;
  readonly pauseImage: string;
}

const containerd = ({ dir, plugins, pauseImage }: NodePaths): string => `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  netns_mounts_under_state_dir = true
  # The machine may be a guest that cannot lower it
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${plugins}"
    conf_dir = "${dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`;

const cni = ({ podRanges }: KubeletNode): string =>
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: {
          type: 'host-local',
          ranges: podRanges.map((subnet) => [{ subnet }]),
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
        },
      },
      { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } },
    ],
  });

const kubelet = ({ dir }: NodePaths): string =>
  JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    // Several nodes share one machine, and none of it is theirs
    enforceNodeAllocatable: [],
    evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '0%', 'nodefs.inodesFree': '0%', 'imagefs.available': '0%' },
    failCgroupV1: false,
    failSwapOn: false,
    imageGCHighThresholdPercent: 100,
    maxPods: 200,
    registerNode: true,
    resolvConf: `${dir}/resolv.conf`,
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
  });

const kubeProxy = ({ kubeconfig }: NodePaths, { name }: KubeletNode): string =>
  JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: POD_RANGES.join(),
    clientConnection: { kubeconfig },
    hostnameOverride: name,
  });

/** File name -> text, for a node's folder. */
export const nodeFiles = (node: KubeletNode, paths: NodePaths): Readonly<Record<string, string>> => ({
  'containerd.toml': containerd(paths),
  'cni/10-pods.conflist': cni(node),
  'kubelet.yaml': kubelet(paths),
  'kube-proxy.yaml': kubeProxy(paths, node),
  // No server answers there: pods need no name from outside
  'resolv.conf': `nameserver ${node.addresses[0]}\n`,
});
