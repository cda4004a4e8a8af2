import { failure, type Result, success } from '#lib/result.ts';
import type { Access } from './credentials.ts';
import { readInCluster } from './in-cluster.ts';
import { parseServer, readKubeconfig, SERVER } from './kubeconfig.ts';

/** The configured access; without both fields the service account of this pod. */
export interface AccessSettings {
  readonly kubeconfig: string | undefined;
  /** Address of the API server instead of the kubeconfig's. */
  readonly master: string | undefined;
}

/**
 * Reads the files that say how to reach the API server, and the files that they name; reading everything again picks up rotated
 * credentials. Errors name the file, the field, its value and the expected value.
 */
export function readAccess({ kubeconfig, master }: AccessSettings, env: NodeJS.ProcessEnv = process.env): Result<Access> {
  if (kubeconfig !== undefined) return readKubeconfig(kubeconfig, master);
  if (master === undefined) return readInCluster(env);
  const server = parseServer(master);
  if (server === undefined) return failure(`--master is "${master}", must be ${SERVER}`);
  const tls = { ca: undefined, insecure: false, serverName: undefined };
  return success({ server, tls, identity: { described: 'no credentials, because there is no --kubeconfig' } });
}
