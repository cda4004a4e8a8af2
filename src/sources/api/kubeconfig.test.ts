import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAuthority, workFolder } from '#support/certificates.ts';
import { readAccess } from './access.ts';
import { readInCluster } from './in-cluster.ts';
import { readKubeconfig } from './kubeconfig.ts';

const authority = createAuthority();
const client = authority.issue('/O=system:nodes/CN=n1', 'DNS:n1');
const other = authority.issue('/CN=n2', 'DNS:n2');
const dir = workFolder();
const base64 = (text: string): string => Buffer.from(text).toString('base64');
for (const [name, text] of Object.entries({
  'ca.crt': authority.ca,
  'n1.crt': client.cert,
  'n1.key': client.key,
  token: 't1\n',
  empty: '',
})) {
  writeFileSync(join(dir, name), text);
}

function write(cluster: object, user: object, rest: object = {}): string {
  const path = join(dir, 'config');
  const clusters = [{ name: 'c', cluster: { server: 'https://192.0.2.1:6443', ...cluster } }];
  const contexts = [
    { name: 'other', context: { cluster: 'nowhere', user: 'u' } },
    { name: 'x', context: { cluster: 'c', user: 'u' } },
  ];
  const content = { apiVersion: 'v1', kind: 'Config', 'current-context': 'x', contexts, clusters, users: [{ name: 'u', user }], ...rest };
  writeFileSync(path, JSON.stringify(content));
  return path;
}

const short = (message: string): string => message.replaceAll(`${dir}/`, '');

function accessOf(cluster: object, user: object, rest: object = {}) {
  const read = readKubeconfig(write(cluster, user, rest));
  assert.ok(read.ok, read.ok ? '' : read.errors.join('\n'));
  return read.value;
}

function mistakesOf(cluster: object, user: object, rest: object = {}): readonly string[] {
  const read = readKubeconfig(write(cluster, user, rest));
  return read.ok ? [] : read.errors.map(short);
}

test('files are relative to the folder of the kubeconfig', () => {
  const { tls, identity } = accessOf({ 'certificate-authority': 'ca.crt' }, { 'client-certificate': 'n1.crt', 'client-key': 'n1.key' });
  assert.equal(tls.ca, authority.ca);
  assert.deepEqual([identity.cert, identity.key], [client.cert, client.key]);
  assert.match(identity.described, /^the client certificate of O=system:nodes, CN=n1, valid until /);
});

test('inline values win over files, except for a token', () => {
  const data = { 'client-certificate-data': base64(client.cert), 'client-certificate': 'nosuch', 'client-key-data': base64(client.key) };
  const { tls, identity } = accessOf({ 'certificate-authority-data': base64(authority.ca), 'tls-server-name': 'api' }, data);
  assert.deepEqual([tls.ca, tls.serverName, identity.cert], [authority.ca, 'api', client.cert]);
  assert.equal(accessOf({}, { token: 't0', tokenFile: 'token' }).identity.authorization, 'Bearer t1');
  assert.equal(accessOf({}, { token: 't0' }).identity.authorization, 'Bearer t0');
  assert.equal(accessOf({}, { username: 'a', password: 'b' }).identity.authorization, `Basic ${base64('a:b')}`);
});

test('--master wins over the address of the cluster, and needs no kubeconfig', () => {
  const read = readAccess({ kubeconfig: write({ server: '' }, {}), master: 'http://127.0.0.1:8080' });
  assert.equal(read.ok && read.value.server.href, 'http://127.0.0.1:8080/');
  const bare = readAccess({ kubeconfig: undefined, master: 'localhost:8080' });
  assert.deepEqual(bare.ok || bare.errors, ['--master is "localhost:8080", must be an address such as https://192.0.2.1:6443']);
});

/** What stands in the cluster, the user and the rest, and the mistake. */
const MISTAKES: readonly (readonly [object, object, object, string])[] = [
  [{ server: '192.0.2.1' }, {}, {}, 'clusters[0].cluster.server is "192.0.2.1", must be an address such as https://192.0.2.1:6443'],
  [{ 'proxy-url': 'http://p' }, {}, {}, 'clusters[0].cluster.proxy-url is set, but weir talks to API servers directly: take it out'],
  [
    { 'certificate-authority': 'nosuch' },
    {},
    {},
    'clusters[0].cluster.certificate-authority is "nosuch", must be a file that can be read (no such file or directory)',
  ],
  [
    { 'certificate-authority': 'empty' },
    {},
    {},
    'clusters[0].cluster.certificate-authority is "empty", must be a file with a certificate in PEM',
  ],
  [
    { 'certificate-authority': 'ca.crt', 'insecure-skip-tls-verify': true },
    {},
    {},
    'clusters[0].cluster.insecure-skip-tls-verify is true although there is a certificate-authority: take one of both out',
  ],
  [{ 'insecure-skip-tls-verify': 'yes' }, {}, {}, 'clusters[0].cluster.insecure-skip-tls-verify is "yes", must be true or false'],
  [
    {},
    { 'client-key-data': base64('secret') },
    {},
    'users[0].user.client-key-data should be a private key in PEM without a passphrase, in base64',
  ],
  [{}, { 'client-certificate': 'n1.crt' }, {}, 'users[0].user.client-key is missing, must be there because there is a client-certificate'],
  [
    {},
    { 'client-certificate': 'n1.crt', 'client-key-data': base64(other.key) },
    {},
    'users[0].user.client-key cannot be used with the client-certificate: key values mismatch',
  ],
  [{}, { tokenFile: 'empty' }, {}, 'users[0].user.tokenFile is "empty", must be a file with a token; it is empty'],
  [
    {},
    { 'auth-provider': { name: 'gcp' } },
    {},
    'users[0].user.auth-provider is set, which Kubernetes 1.26 has removed: use an exec plugin',
  ],
  [{}, { as: 'root' }, {}, 'users[0].user.as is set, but weir does not impersonate: remove it'],
  [
    {},
    { exec: { command: 'x', apiVersion: 'client.authentication.k8s.io/v1alpha1' } },
    {},
    'users[0].user.exec.apiVersion is "client.authentication.k8s.io/v1alpha1", must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1',
  ],
  [
    {},
    { exec: { command: 'x', apiVersion: 'client.authentication.k8s.io/v1', interactiveMode: 'Always' } },
    {},
    'users[0].user.exec.interactiveMode is Always, but weir has no terminal to ask at',
  ],
  [{}, {}, { 'current-context': 'y' }, 'current-context is "y", must be the name of one of its contexts: other, x'],
  [{}, {}, { 'current-context': 'other' }, 'contexts[0].context.cluster is "nowhere", must be the name of one of its clusters: c'],
  [{}, {}, { contexts: null }, 'current-context is "x", must be the name of one of its contexts, of which it has none'],
  [{}, {}, { users: [] }, 'contexts[1].context.user is "u", must be the name of one of its users, of which it has none'],
];

test('each mistake in a kubeconfig is reported with file, field, value and expected value', () => {
  for (const [cluster, user, rest, message] of MISTAKES)
    assert.deepEqual(mistakesOf(cluster, user, rest), [`Kubeconfig config: ${message}`]);
});

test('a file other than a kubeconfig is reported as such', () => {
  const path = join(dir, 'odd');
  const said = (text: string): string => {
    writeFileSync(path, text);
    const read = readKubeconfig(path);
    return read.ok ? '' : short(read.errors.join());
  };
  assert.equal(said(''), 'Kubeconfig odd should hold one document with apiVersion v1 and kind Config');
  assert.equal(said('kind: Pod'), 'Kubeconfig odd should hold one document with apiVersion v1 and kind Config');
  assert.match(said('a: ['), /^Kubeconfig odd does not parse: line 1: /);
  const missing = readKubeconfig(join(dir, 'nosuch'));
  assert.equal(missing.ok ? '' : short(missing.errors.join()), 'Cannot read kubeconfig nosuch: no such file or directory');
});

test("a pod's service account is read anew each time", () => {
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  const read = readInCluster(env, dir);
  assert.ok(read.ok);
  assert.equal(read.value.server.href, 'https://[fd00::1]/');
  assert.deepEqual([read.value.tls.ca, read.value.identity.authorization], [authority.ca, 'Bearer t1']);
  const bad = readInCluster(env, join(dir, 'nosuch'));
  assert.deepEqual(bad.ok || bad.errors.map(short), [
    'Cannot use the service account of this pod: cannot read nosuch/ca.crt: no such file or directory',
  ]);
  const outside = readAccess({ kubeconfig: undefined, master: undefined }, {});
  assert.match(outside.ok ? '' : outside.errors.join(), /^Cannot tell where the API server is: .* Give one, or a folder/);
});
