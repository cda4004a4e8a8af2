import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { btfNames } from './btf-names.ts';

/** What the programs and the table `inet weir` lean on, and a function of each, which tells when it is built into the kernel. */
const MODULES = {
  nf_conntrack: 'nf_conntrack_in',
  nf_nat: 'nf_nat_packet',
  nf_tables: 'nf_tables_newtable',
  nft_chain_nat: 'nft_nat_do_chain',
  nft_ct: 'nft_ct_get_init',
  nft_reject_inet: 'nft_reject_inet_eval',
} as const;

export type ModuleName = keyof typeof MODULES;

const names = Object.keys(MODULES) as ModuleName[];

/** Whether sysfs shows a module; one that is built in need not be there. */
export const isModuleLoaded = (name: string): boolean => existsSync(`/sys/module/${name}`);

/** Those of the modules that are neither loaded nor built in. */
export function absentModules(wanted: readonly ModuleName[] = names): ModuleName[] {
  const unloaded = wanted.filter((name) => !isModuleLoaded(name));
  if (unloaded.length === 0) return [];
  const builtIn = btfNames('vmlinux');
  return unloaded.filter((name) => !builtIn.has(MODULES[name]));
}

/**
 * Their BTF must be there before programs load. A module that cannot be had is no error here: what misses it will say so. Those that are
 * built in are asked for too: modprobe says so in 3 ms, the kernel's BTF in 60.
 */
export function loadModules(): void {
  const unseen = names.filter((name) => !isModuleLoaded(name));
  if (unseen.length > 0) spawnSync('modprobe', ['--all', '--quiet', ...unseen], { stdio: 'ignore', timeout: 10_000 });
}
