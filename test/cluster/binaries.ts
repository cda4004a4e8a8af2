import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '#lab/paths.ts';
import { whyNoKernel } from '#support/kernel-ground.ts';

type Program = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler' | 'kubectl';

/** Where `test/cluster/build` puts a program. */
export const binary = (name: Program): string => join(CHECKOUT, '.cache/cluster/bin', name);

/** Why no control plane with these programs besides can be raised here, and the command that changes it; undefined where one can. */
export function whyNoControlPlane(...besides: readonly Program[]): string | undefined {
  const missing = (['etcd', 'kube-apiserver', ...besides] as const).filter((name) => !existsSync(binary(name)));
  if (missing.length > 0) return `no ${missing.join(', ')}: run test/cluster/build, the first time takes minutes`;
  if (spawnSync('openssl', ['version']).status !== 0) return 'no openssl: run apt-get install openssl';
  return whyNoKernel();
}
