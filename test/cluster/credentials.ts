/** What the parts of a control plane and their clients know each other by: files in one folder. */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from '#lib/address.ts';

/** A name that the serving certificate holds besides the addresses. */
export const SERVER_NAME = 'kubernetes.default.svc';

/** Text of what a client needs. */
export interface Credentials {
  /** Bearer token of a user of group system:masters. */
  readonly token: string;
  /** PEM of the serving certificate; it is its own authority. */
  readonly certificate: string;
}

/** Paths of the files in a folder of credentials. */
export const credentialFiles = (dir: string) => ({
  tokens: join(dir, 'tokens.csv'),
  certificate: join(dir, 'server.crt'),
  key: join(dir, 'server.key'),
  accountKey: join(dir, 'service-account.key'),
  accountPublicKey: join(dir, 'service-account.pub'),
  kubeconfig: join(dir, 'kubeconfig'),
  proxyKubeconfig: join(dir, 'proxy-kubeconfig'),
});

/** Makes the files; the kubeconfigs dial the first address. */
export function makeCredentials(dir: string, addresses: readonly [Address, ...Address[]], port: number): Credentials {
  const files = credentialFiles(dir);
  const [token, proxyToken] = [randomToken(), randomToken()];
  const users = `${token},admin,admin,"system:masters"\n${proxyToken},system:kube-proxy,kube-proxy\n`;
  writeFileSync(files.tokens, users, { mode: 0o600 });
  makeCertificate(files, addresses);
  makeAccountKeys(files);
  const credentials = { token, certificate: readFileSync(files.certificate, 'utf8') };
  const [host] = addresses;
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  writeFileSync(files.kubeconfig, kubeconfig(server, credentials), { mode: 0o600 });
  writeFileSync(files.proxyKubeconfig, kubeconfig(server, { ...credentials, token: proxyToken }), { mode: 0o600 });
  return credentials;
}

const randomToken = (): string => randomBytes(16).toString('hex');

function makeCertificate(
  { certificate, key }: { readonly certificate: string; readonly key: string },
  addresses: readonly Address[],
): void {
  const names = [`DNS:${SERVER_NAME}`, ...addresses.map((address) => `IP:${address}`)].join(',');
  const argv = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '30'];
  const more = ['-subj', '/CN=kube-apiserver', '-addext', `subjectAltName=${names}`, '-keyout', key, '-out', certificate];
  const { status, stderr } = spawnSync('openssl', [...argv, ...more], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot make a certificate: ${stderr}`);
}

function makeAccountKeys({ accountKey, accountPublicKey }: { readonly accountKey: string; readonly accountPublicKey: string }): void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(accountKey, privateKey, { mode: 0o600 });
  writeFileSync(accountPublicKey, publicKey);
}

const kubeconfig = (server: string, { token, certificate }: Credentials): string => `apiVersion: v1
kind: Config
current-context: lab
contexts:
- name: lab
  context: {cluster: lab, user: admin}
clusters:
- name: lab
  cluster:
    server: ${server}
    certificate-authority-data: ${Buffer.from(certificate).toString('base64')}
users:
- name: admin
  user:
    token: ${token}
`;
