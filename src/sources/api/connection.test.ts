import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createAuthority, workFolder } from '#support/certificates.ts';
import { refuse, TestApiServer } from '#support/fake-api-server.ts';
import { type Followed, followed, node, portOf, served, service, slice } from '#support/followed-api-server.ts';
import { until } from '#support/manifest-folder.ts';

const SHOP = [service('a'), slice('a'), node('n1')];
const authority = createAuthority();
const serving = authority.issue('/CN=server', 'IP:127.0.0.1,DNS:api');

/** Follows a TLS server as a user of a kubeconfig; `follows.access` is where that stands. */
async function secured(tls: ServerOptions, user: object, cluster: object = { 'certificate-authority': 'ca.crt' }) {
  const dir = workFolder();
  writeFileSync(join(dir, 'ca.crt'), authority.ca);
  const server = await served(SHOP, new TestApiServer({ ca: authority.ca, ...tls }));
  const kubeconfig = join(dir, 'config');
  const content = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'x', contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }] },
    ...{ clusters: [{ name: 'c', cluster: { server: server.url, ...cluster } }], users: [{ name: 'u', user }] },
  };
  writeFileSync(kubeconfig, JSON.stringify(content));
  return { dir, server, follow: (sync = true) => followed(server, { access: { kubeconfig, master: undefined }, sync }) };
}

async function problemOf({ problems }: Followed): Promise<string> {
  await until('a problem', () => problems.length > 0);
  return problems[0]?.replace(/[^ ]*\/weir-api-\w+\//, '') ?? '';
}

test('a server is believed that its authority vouches for, and told by a client certificate who asks', async () => {
  const { cert, key } = authority.issue('/O=system:nodes/CN=n1', 'DNS:n1');
  const { dir, server, follow } = await secured(
    { ...serving, requestCert: true },
    { 'client-certificate': 'n1.crt', 'client-key': 'n1.key' },
  );
  writeFileSync(join(dir, 'n1.crt'), cert);
  writeFileSync(join(dir, 'n1.key'), key);
  const askers = new Set<string | undefined>();
  server.fault = (_url, _response, { socket }) => {
    askers.add((socket as TLSSocket).getPeerCertificate().subject?.CN as string | undefined);
    return false;
  };
  await follow();
  assert.deepEqual([...askers], ['n1']);
});

test('a client certificate that is replaced is used for the next request', async () => {
  const [first, second] = [authority.issue('/CN=n1-old', 'DNS:n1'), authority.issue('/CN=n1-new', 'DNS:n1')];
  const { dir, server, follow } = await secured(
    { ...serving, requestCert: true },
    { 'client-certificate': 'n1.crt', 'client-key': 'n1.key' },
  );
  const put = ({ cert, key }: typeof first): void => {
    writeFileSync(join(dir, 'n1.crt'), cert);
    writeFileSync(join(dir, 'n1.key'), key);
  };
  put(first);
  await follow();
  put(second);
  const askers = new Set<string | undefined>();
  server.fault = (_url, _response, { socket }) => {
    askers.add((socket as TLSSocket).getPeerCertificate().subject?.CN as string | undefined);
    return false;
  };
  server.cut('end');
  await until('all watches', () => server.watches === 4);
  assert.deepEqual([...askers], ['n1-new']);
});

test('a name that the certificate should have can be given', async () => {
  const named = authority.issue('/CN=server', 'DNS:api.example');
  const ca = { 'certificate-authority': 'ca.crt' };
  const { follow } = await secured(named, {}, { ...ca, 'tls-server-name': 'api.example' });
  await follow();
  const wrong = await secured(named, {}, ca);
  assert.match(await problemOf(await wrong.follow(false)), /does not match certificate's altnames/);
});

test('a certificate that is not believed is said, and why', async () => {
  const expired = await secured(authority.issue('/CN=server', 'IP:127.0.0.1', -1), {});
  assert.match(await problemOf(await expired.follow(false)), /^api_unreachable: .*certificate has expired, or this node's clock is wrong/);
  const foreign = await secured(createAuthority().issue('/CN=server', 'IP:127.0.0.1'), {});
  assert.match(await problemOf(await foreign.follow(false)), /is not signed by the certificate-authority that was given/);
  const insecure = await secured(createAuthority().issue('/CN=server', 'IP:127.0.0.1'), {}, { 'insecure-skip-tls-verify': true });
  await insecure.follow();
});

test('a server that does not speak TLS is said to be none', async () => {
  const plain = await served(SHOP);
  const { follow } = await secured(serving, {}, { 'certificate-authority': 'ca.crt', server: plain.url.replace('http:', 'https:') });
  assert.match(await problemOf(await follow(false)), /it does not speak TLS there/);
});

test('a token that is rotated is read again, and one that is refused is said', async () => {
  const { dir, server, follow } = await secured(serving, { tokenFile: 'token' });
  writeFileSync(join(dir, 'token'), 'old');
  let valid = 'Bearer new';
  server.fault = (_url, response, { headers }) => headers.authorization !== valid && refuse(response, 401, 'Unauthorized');
  const follows = await follow(false);
  assert.equal(
    (await problemOf(follows)).replace(server.url, 'URL'),
    'api_unauthorized: API server URL answered 401 (Unauthorized): it does not take the token in token. Nothing is served until that works; trying again',
  );
  writeFileSync(join(dir, 'token'), 'new');
  await until('complete', () => follows.calls.includes('complete'));
  valid = 'Bearer newest';
  writeFileSync(join(dir, 'token'), 'newest');
  server.cut('end');
  server.put(service('a', 81));
  await until('a', () => portOf(follows, 'a') === 81);
  // A request that was on its way with the old token may be refused after another one went through
  assert.equal(new Set(follows.problems).size, 1);
});

test('a token file that is missing for a while is reported, and the last token stays in force', async () => {
  const { dir, server, follow } = await secured(serving, { tokenFile: 'token' });
  writeFileSync(join(dir, 'token'), 'one');
  const follows = await follow();
  writeFileSync(join(dir, 'token'), '');
  server.cut('end');
  assert.match(
    await problemOf(follows),
    /^api_credentials: .*tokenFile is "token", must be a file with a token; it is empty\. The last known objects/,
  );
  writeFileSync(join(dir, 'token'), 'two');
  server.put(service('a', 81));
  await until('a', () => portOf(follows, 'a') === 81);
});

const PLUGIN = `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" > "$(dirname "$0")/asked"
n=$(cat "$(dirname "$0")/count"); n=$((n + 1)); echo $n > "$(dirname "$0")/count"
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'"'$EXTRA'}}'
`;

async function plugged(script: string, env: Record<string, string> = {}) {
  const exec = {
    ...{ apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', interactiveMode: 'Never', provideClusterInfo: true },
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
  };
  const made = await secured(serving, { exec });
  writeFileSync(join(made.dir, 'count'), '0');
  writeFileSync(join(made.dir, 'plugin'), script);
  chmodSync(join(made.dir, 'plugin'), 0o755);
  const tokens: (string | undefined)[] = [];
  made.server.fault = (_url, _response, { headers }) => {
    tokens.push(headers.authorization);
    return false;
  };
  return { ...made, tokens };
}

test('a plugin is asked once, and again when the server refuses what it gave', async () => {
  const { server, follow, tokens } = await plugged(PLUGIN);
  await follow();
  assert.deepEqual([...new Set(tokens)], ['Bearer t1']);
  server.fault = (_url, response, { headers }) => headers.authorization === 'Bearer t1' && refuse(response, 401, 'Unauthorized');
  server.cut('end');
  await until('all watches', () => server.watches === 4);
});

test('a plugin is asked again when what it gave has expired', async () => {
  const { server, follow, tokens } = await plugged(PLUGIN, { EXTRA: ',"expirationTimestamp":"2020-01-31T12:00:00Z"' });
  await follow();
  tokens.splice(0);
  server.cut('end');
  await until('all watches', () => server.watches === 4);
  assert.ok(tokens.length >= 3 && !tokens.includes('Bearer t1'), tokens.join());
});

test('a plugin that failed once is asked again', async () => {
  const { dir, follow } = await plugged(`#!/bin/sh\ntest -e "$(dirname "$0")/ready" || exit 1\n${PLUGIN}`);
  const follows = await follow(false);
  await problemOf(follows);
  writeFileSync(join(dir, 'ready'), '');
  await until('complete', () => follows.calls.includes('complete'));
});

test('a plugin that fails is said with what it wrote', async () => {
  const failing = await plugged('#!/bin/sh\necho "no login" >&2\nexit 3\n');
  assert.match(
    await problemOf(await failing.follow(false)),
    /^api_credentials: Exec plugin \.\/plugin of Kubeconfig .*config ended with code 3: no login\./,
  );
  const odd = await plugged('#!/bin/sh\necho hello\n');
  assert.match(await problemOf(await odd.follow(false)), /printed no JSON, must print client.authentication.k8s.io\/v1 ExecCredential/);
  const status = '{"clientCertificateData":"no PEM","clientKeyData":"no PEM"}';
  const unusable = await plugged(
    `#!/bin/sh\necho '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":${status}}'\n`,
  );
  assert.match(await problemOf(await unusable.follow(false)), /printed a client certificate and key that cannot be used: no start line/);
});
