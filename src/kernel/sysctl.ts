import { readFileSync, writeFileSync } from 'node:fs';

/** Value of a sysctl such as `net.ipv4.ip_forward`; undefined where the kernel does not have it. */
export function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Sets a sysctl. Throws where the kernel does not have it or does not let this process. */
export const setSysctl = (name: string, value: string): void => writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, value);

/** Whether bridges of this network namespace show their packets to netfilter, as kubeadm asks for; false without br_netfilter. */
export const bridgesAskNetfilter = (): boolean =>
  ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'].some((name) => sysctl(name) === '1');
