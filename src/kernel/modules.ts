import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What the programs and the table `inet weir` lean on: often modules, here and there built in. */
export const MODULES: readonly string[] = ['nf_conntrack', 'nf_nat', 'nf_tables', 'nft_chain_nat', 'nft_ct', 'nft_reject_inet'];

export const isModuleLoaded = (name: string): boolean => existsSync(`/sys/module/${name}`);

/** Their BTF must be there before programs load. A module that is built in or unknown is no error: what misses it will say so. */
export function loadModules(names: readonly string[] = MODULES): void {
  const absent = names.filter((name) => !isModuleLoaded(name));
  if (absent.length > 0) spawnSync('modprobe', ['--all', '--quiet', ...absent], { stdio: 'ignore', timeout: 10_000 });
}
