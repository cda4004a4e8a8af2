import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { failure, type Result, success } from '#lib/result.ts';
import { describeFileError } from '../file-error.ts';
import type { Access } from './credentials.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Access of this pod's service account (client-go, rest.InClusterConfig). The kubelet rotates the token. */
export function readInCluster(env: NodeJS.ProcessEnv, folder: string = SERVICE_ACCOUNT): Result<Access> {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = env;
  if (host === '' || port === '') {
    return failure(
      'Cannot tell where the API server is: there is no --kubeconfig, no --master, and KUBERNETES_SERVICE_HOST and _PORT, which pods have, ' +
        'are not set. Give one, or a folder with --source manifests --dir',
    );
  }
  const server = URL.parse(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
  if (server === null) return failure(`KUBERNETES_SERVICE_HOST and _PORT are "${host}" and "${port}", must be an address and a port`);
  try {
    const ca = read(folder, 'ca.crt');
    new X509Certificate(ca);
    const authorization = `Bearer ${read(folder, 'token').trim()}`;
    const identity = { described: `the service account's token in ${folder}/token`, authorization };
    return success({ server, tls: { ca, insecure: false, serverName: undefined }, identity });
  } catch (error) {
    return failure(`Cannot use the service account of this pod: ${(error as Error).message}`);
  }
}

function read(folder: string, name: string): string {
  const path = join(folder, name);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`cannot read ${path}: ${describeFileError(error)}`);
  }
}
