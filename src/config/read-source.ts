import { formatTarget, type GrpcTarget, isPrivate, parseTarget } from '#lib/target.ts';
import type { SourceConfig, TlsFileNames } from './config.ts';
import type { SettingsReader } from './read-settings.ts';

const TYPES = ['api', 'manifests'] as const;

const KPNG = 'kpng=';

const ADDRESS = 'an address such as unix:///run/kpng.sock or 127.0.0.1:12090';

/** The source of objects, from the flags --source, --dir, --kubeconfig, --master and --tls-... */
export function readSource(read: SettingsReader, warnings: string[]): SourceConfig {
  const [given, dir, kubeconfig, master] = ['source', 'dir', 'kubeconfig', 'master'].map((name) => read.text(name) || undefined);
  if (given?.startsWith(KPNG)) {
    if (dir !== undefined) warnings.push('--dir has no effect with --source kpng=');
    return readKpng(read, given.slice(KPNG.length));
  }
  const ofApi = kubeconfig ?? master;
  if (given === undefined && dir !== undefined && ofApi !== undefined)
    read.fail('--dir and --kubeconfig or --master are given: choose with --source manifests or --source api');
  const type = TYPES.find((one) => one === (given ?? (dir === undefined ? 'api' : 'manifests')));
  if (type === undefined) read.reject('source', 'api, manifests or kpng=ADDRESS');
  if (type !== 'manifests') {
    if (dir !== undefined) warnings.push('--dir has no effect with --source api');
    return { type: 'api', kubeconfig, master };
  }
  if (dir === undefined) read.reject('dir', 'a folder, because --source is manifests');
  if (ofApi !== undefined) warnings.push('--kubeconfig and --master have no effect with --source manifests');
  return { type, dir: dir ?? '' };
}

function readKpng(read: SettingsReader, text: string): SourceConfig {
  const target = parseTarget(text);
  if (target === undefined || (target.type === 'tcp' && target.host === '')) {
    read.reject('source', `kpng= and ${ADDRESS}`);
    return { type: 'kpng', target: { type: 'unix', path: '' }, tls: undefined };
  }
  return { type: 'kpng', target, tls: readTls(read, '', target, '--source kpng=') };
}

/** Files of mutual TLS, required unless the target is a Unix socket or loopback. `prefix`: of the flags. `what`: for messages. */
export function readTls(read: SettingsReader, prefix: '' | 'listen-', target: GrpcTarget, what: string): TlsFileNames | undefined {
  const names = ['crt', 'key', 'ca'].map((name) => `${prefix}tls-${name}`);
  const [cert, key, ca] = names.map((name) => read.text(name) || undefined);
  const flags = names.map((name) => `--${name}`).join(', ');
  if (cert !== undefined && key !== undefined && ca !== undefined) {
    if (target.type === 'unix') read.fail(`${flags} are given, but ${what}${formatTarget(target)} is a Unix socket, which has no TLS`);
    return { cert, key, ca };
  }
  if ((cert ?? key ?? ca) !== undefined) read.fail(`${flags} belong together: give all three, or none`);
  else if (!isPrivate(target))
    read.fail(
      `${what}${formatTarget(target)} is reachable from other machines, so it needs mutual TLS: give ${flags}, or use a Unix socket or loopback`,
    );
  return undefined;
}
