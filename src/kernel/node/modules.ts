import { existsSync } from 'node:fs';
import { btfNames } from '../bpf/btf-names.ts';
import { NftError, runNft } from '../nftables/libnftables.ts';

/** Modules that the programs and the table `inet weir` need, with a function of each, which shows whether it is built into the kernel. */
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

/** Modules that are neither loaded nor built in. */
export function absentModules(wanted: readonly ModuleName[] = names): ModuleName[] {
  const unloaded = wanted.filter((name) => !isModuleLoaded(name));
  if (unloaded.length === 0) return [];
  const builtIn = btfNames('vmlinux');
  return unloaded.filter((name) => !builtIn.has(MODULES[name]));
}

/** Rules that take all of the modules. A dormant table touches no packet. */
export const WISHES = `
table inet weir-modules {
  flags dormant
  chain nat { type nat hook output priority 0; }
  chain rules { ct state invalid reject; }
}`;

/**
 * Their BTF must be there before programs load. The kernel fetches them itself for rules that it is shown and then forgets: that works in a
 * container too, without CAP_SYS_MODULE and modprobe. A missing module is not an error here: the code that needs it reports it.
 */
export function loadModules(): void {
  if (names.every(isModuleLoaded)) return;
  try {
    runNft(WISHES, 'check');
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
  }
}
