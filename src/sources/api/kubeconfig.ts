import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure, type Result, success } from '#lib/result.ts';
import { parseYaml } from '#lib/yaml.ts';
import { child, children, type Fields, flag, isFields, type LocatedFields, type ObjectReport, text, wrong } from '#model/fields.ts';
import { describeFileError } from '../file-error.ts';
import { readCertificate, refuse } from './credential-files.ts';
import type { Access, TlsSettings } from './credentials.ts';
import { readIdentity } from './kubeconfig-user.ts';

/** What an address of an API server must be, for messages. */
export const SERVER = 'an address such as https://192.0.2.1:6443';

/** The address of an API server; undefined where it is none. */
export function parseServer(text: string): URL | undefined {
  const server = URL.parse(text);
  return server?.protocol === 'https:' || server?.protocol === 'http:' ? server : undefined;
}

/**
 * Access of the current context of a kubeconfig (client-go, clientcmd/api/v1), as of now. Paths in it are relative to its folder.
 * `master`: address instead of the cluster's.
 */
export function readKubeconfig(path: string, master?: string): Result<Access> {
  const content = contentOf(path);
  if (!content.ok) return content;
  const report: ObjectReport = { subject: `Kubeconfig ${path}`, errors: [], warnings: [] };
  const root: LocatedFields = { report, path: '', fields: content.value };
  const context = named(root, 'current-context', 'contexts', 'context', text(root, 'current-context'));
  if (context === undefined) return failure(...report.errors);
  const cluster = named(context, 'cluster', 'clusters', 'cluster', text(context, 'cluster'), root);
  const user = text(context, 'user') === '' ? undefined : named(context, 'user', 'users', 'user', text(context, 'user'), root);
  if (cluster === undefined || report.errors.length > 0) return failure(...report.errors);
  const folder = dirname(path);
  const server = readServer(cluster, master);
  const tls = readTls(cluster, folder);
  const identity = readIdentity(user, folder, clusterFacts(server, tls));
  return report.errors.length > 0 ? failure(...report.errors) : success({ server, tls, identity });
}

function contentOf(path: string): Result<Fields> {
  try {
    const parsed = parseYaml(readFileSync(path, 'utf8'));
    if (!parsed.ok) return failure(`Kubeconfig ${path} does not parse: line ${parsed.line}: ${parsed.reason}`);
    const [content] = parsed.values;
    if (parsed.values.length === 1 && isFields(content) && content.kind === 'Config' && content.apiVersion === 'v1')
      return success(content);
    return failure(`Kubeconfig ${path} should hold one document with apiVersion v1 and kind Config`);
  } catch (error) {
    return failure(`Cannot read kubeconfig ${path}: ${describeFileError(error)}`);
  }
}

/** What the list at `listKey` of `root` holds under a name that `key` of `place` gives. */
function named(place: LocatedFields, key: string, listKey: string, itemKey: string, name: string, root = place): LocatedFields | undefined {
  const items = children(root, listKey);
  const found = items.find((item) => text(item, 'name') === name);
  if (found !== undefined && name !== '') return child(found, itemKey);
  const names = items.map((item) => text(item, 'name')).join(', ');
  wrong(place, key, place.fields[key], `the name of one of its ${listKey}${names === '' ? ', of which it has none' : `: ${names}`}`);
  return undefined;
}

/** The cluster that exec plugins receive on request (client.authentication.k8s.io/v1, Cluster). */
const clusterFacts = (server: URL, { ca, insecure, serverName }: TlsSettings): Readonly<Record<string, unknown>> => ({
  server: server.href,
  'tls-server-name': serverName,
  'insecure-skip-tls-verify': insecure,
  'certificate-authority-data': ca === undefined ? undefined : Buffer.from(ca).toString('base64'),
});

const NOWHERE = new URL('https://invalid.');

function readServer(cluster: LocatedFields, master: string | undefined): URL {
  if (text(cluster, 'proxy-url') !== '') refuse(cluster, 'proxy-url', 'is set, but weir talks to API servers directly: take it out');
  const server = parseServer(master ?? text(cluster, 'server'));
  if (server !== undefined) return server;
  if (master !== undefined) cluster.report.errors.push(`--master is "${master}", must be ${SERVER}`);
  else wrong(cluster, 'server', cluster.fields.server, SERVER);
  return NOWHERE;
}

function readTls(cluster: LocatedFields, folder: string): TlsSettings {
  const insecure = flag(cluster, 'insecure-skip-tls-verify', false);
  const ca = readCertificate(cluster, 'certificate-authority', folder);
  if (insecure && ca !== undefined) {
    refuse(cluster, 'insecure-skip-tls-verify', 'is true although there is a certificate-authority: take one of both out');
  }
  return { ca, insecure, serverName: text(cluster, 'tls-server-name') || undefined };
}
