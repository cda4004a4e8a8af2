import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Contents of a file of /proc or /sys; undefined if the kernel lacks or hides it. */
export function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

const pathOf = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;

/** Value of a sysctl such as `net.ipv4.ip_forward`; undefined where the kernel does not have it. */
export const sysctl = (name: string): string | undefined => readSetting(pathOf(name));

/** Where a container has what the node has below /proc; its own /proc/sys is read-only. */
const OF_NODE = '/host';

/** Sets a sysctl. Throws where the kernel does not have it or does not let this process. */
export function setSysctl(name: string, value: string): void {
  const path = pathOf(name);
  try {
    writeFileSync(path, value);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EROFS' || !existsSync(OF_NODE + path)) throw error;
    writeFileSync(OF_NODE + path, value);
  }
}

/** Whether bridges of this network namespace show their packets to netfilter, as kubeadm asks for; false without br_netfilter. */
export const bridgesAskNetfilter = (): boolean =>
  ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'].some((name) => sysctl(name) === '1');
