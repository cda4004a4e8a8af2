/** What a DaemonSet says about its one container, in the words of a runtime (runtime-spec, config.md), as containerd's CRI plugin translates it. */

/** A pod template, as far as weir's says something. */
export interface PodTemplate {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly initContainers?: readonly [Container];
  readonly containers: readonly [Container];
  readonly volumes: readonly Volume[];
}

interface Container {
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly valueFrom: object }[];
  readonly securityContext: {
    readonly readOnlyRootFilesystem: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly privileged?: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string; readonly type: string };
}

/** What the node gives to the pod. */
export interface PodPlace {
  /** Folder that becomes the root. */
  readonly root: string;
  readonly netns: string;
  /** Below the root of every cgroup hierarchy. */
  readonly cgroupsPath: string;
  /** Values for `env` and `$(NAME)`. */
  readonly env: Readonly<Record<string, string>>;
  /** Volume -> folder of this machine that stands for it. */
  readonly volumes: Readonly<Record<string, string>>;
}

const mount = (destination: string, type: string, source: string, ...options: string[]) => ({ destination, type, source, options });

/** containerd's mounts of every container (oci/mounts.go). */
const USUAL_MOUNTS = [
  mount('/proc', 'proc', 'proc', 'nosuid', 'noexec', 'nodev'),
  mount('/dev', 'tmpfs', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
  mount('/dev/shm', 'tmpfs', 'shm', 'nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'),
  mount('/sys', 'sysfs', 'sysfs', 'nosuid', 'noexec', 'nodev', 'ro'),
];

/** containerd's defaults for containers that are not privileged (oci/spec.go). */
const MASKED = [
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
];
const READ_ONLY = ['/proc/asound', '/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** The file `config.json` of a container that does what the template says. */
export function runtimeConfig({ hostNetwork, hostPID, containers: [container] }: PodTemplate, place: PodPlace): object {
  const { capabilities, readOnlyRootFilesystem, allowPrivilegeEscalation } = container.securityContext;
  const names = capabilities.add.map((name) => `CAP_${name}`);
  const namespaces = ['mount', 'ipc', ...(hostPID ? [] : ['pid'])].map((type) => ({ type }));
  return {
    ociVersion: '1.0.2',
    root: { path: place.root, readonly: readOnlyRootFilesystem },
    process: {
      user: { uid: 0, gid: 0 },
      cwd: '/',
      args: ['/usr/bin/weir', ...container.args.map((text) => expand(text, place.env))],
      env: ['PATH=/usr/bin', ...(container.env ?? []).map(({ name }) => `${name}=${place.env[name]}`)],
      capabilities: { bounding: names, effective: names, permitted: names },
      noNewPrivileges: !allowPrivilegeEscalation,
    },
    mounts: [...USUAL_MOUNTS, ...container.volumeMounts.map((each) => volumeMount(each, place))],
    linux: {
      cgroupsPath: place.cgroupsPath,
      namespaces: [...namespaces, ...(hostNetwork ? [{ type: 'network', path: place.netns }] : [])],
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
    },
  };
}

const expand = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\((\w+)\)/g, (all, name: string) => env[name] ?? all);

function volumeMount({ name, mountPath, readOnly = false }: Container['volumeMounts'][number], { volumes }: PodPlace) {
  const source = volumes[name];
  if (source === undefined) throw new Error(`Cannot mount volume "${name}": the test has no folder for it`);
  return mount(mountPath, 'bind', source, 'rbind', 'rprivate', readOnly ? 'ro' : 'rw');
}
