import { resolve } from 'node:path';
import { child, children, choice, flag, type LocatedFields, text, texts, wrong } from '#model/fields.ts';
import { describeCertificate, readCertificate, readKey, readNamedFile, refuse, whyUnusable } from './credential-files.ts';
import { EXEC_API_VERSIONS, type ExecPlugin, type Identity } from './credentials.ts';

/** The identity of a user of a kubeconfig; anonymous without a user. `cluster`: the cluster that exec plugins may receive. */
export function readIdentity(user: LocatedFields | undefined, folder: string, cluster: Readonly<Record<string, unknown>>): Identity {
  if (user === undefined) return { described: 'no credentials, because the context names no user' };
  refuseUnsupported(user);
  const certificate = readPair(user, folder);
  const authorization = readAuthorization(user, folder);
  if (user.fields.exec !== undefined && user.fields.exec !== null) return { ...certificate, ...readPlugin(user, folder, cluster) };
  const described = [certificate.described, authorization.described].filter((each) => each !== undefined).join(' and ');
  return { ...certificate, ...authorization, described: described || 'no credentials, because its user has none' };
}

function refuseUnsupported(user: LocatedFields): void {
  if (user.fields['auth-provider'] !== undefined) {
    refuse(user, 'auth-provider', 'is set, which Kubernetes 1.26 has removed: use an exec plugin');
  }
  for (const key of ['as', 'as-uid', 'as-groups', 'as-user-extra']) {
    if (user.fields[key] !== undefined) refuse(user, key, 'is set, but weir does not impersonate: remove it');
  }
}

function readPair(user: LocatedFields, folder: string): Partial<Identity> {
  const cert = readCertificate(user, 'client-certificate', folder);
  const key = readKey(user, 'client-key', folder);
  if (user.report.errors.length > 0 || (cert === undefined && key === undefined)) return {};
  if (cert === undefined || key === undefined) {
    const [has, lacks] = cert === undefined ? ['client-key', 'client-certificate'] : ['client-certificate', 'client-key'];
    refuse(user, lacks, `is missing, must be there because there is a ${has}`);
    return {};
  }
  const why = whyUnusable(cert, key);
  if (why !== undefined) refuse(user, 'client-key', `cannot be used with the client-certificate: ${why}`);
  return { cert, key, described: `the client certificate of ${describeCertificate(cert)}` };
}

/** A file wins over a token that is written out. */
function readAuthorization(user: LocatedFields, folder: string): Partial<Identity> {
  const read = readNamedFile(user, 'tokenFile', folder)?.trim();
  if (read === '') wrong(user, 'tokenFile', text(user, 'tokenFile'), 'a file with a token; it is empty');
  const token = read ?? text(user, 'token');
  if (token !== '') {
    return { authorization: `Bearer ${token}`, described: read === undefined ? 'a token' : `the token in ${text(user, 'tokenFile')}` };
  }
  const [name, password] = [text(user, 'username'), text(user, 'password')];
  if (name === '') return {};
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`, described: `the password of ${name}` };
}

function readPlugin(user: LocatedFields, folder: string, cluster: Readonly<Record<string, unknown>>): Identity {
  const exec = child(user, 'exec');
  const command = text(exec, 'command');
  if (command === '') wrong(exec, 'command', undefined, 'a program');
  const mode = choice(exec, 'interactiveMode', ['Never', 'IfAvailable', 'Always'], 'IfAvailable');
  if (mode === 'Always') refuse(exec, 'interactiveMode', 'is Always, but weir has no terminal to ask at');
  const plugin: ExecPlugin = {
    subject: `Exec plugin ${command} of ${user.report.subject}`,
    apiVersion: choice(exec, 'apiVersion', EXEC_API_VERSIONS),
    command: command.includes('/') ? resolve(folder, command) : command,
    args: texts(exec, 'args'),
    env: Object.fromEntries(children(exec, 'env').map((each) => [text(each, 'name'), text(each, 'value')])),
    installHint: text(exec, 'installHint'),
    cluster: flag(exec, 'provideClusterInfo', false) ? cluster : undefined,
  };
  return { plugin, described: `exec plugin ${command}` };
}
