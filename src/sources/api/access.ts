import { failure, type Result, success } from '#lib/result.ts';
import type { Access } from './credentials.ts';
import { readInCluster } from './in-cluster.ts';
import { parseServer, readKubeconfig, SERVER } from './kubeconfig.ts';

/** What was configured; neither of both = the service account of this pod. */
export interface AccessSettings {
  readonly kubeconfig: string | undefined;
  /** Address of the API server instead of the kubeconfig's. */
  readonly master: string | undefined;
}

/**
 * Reads the files that say how to reach the API server, and their own files, too: what is rotated is read anew by reading everything
 * again. Errors name the file, the field, what is and what should be.
 */
export function readAccess({ kubeconfig, master }: AccessSettings, env: NodeJS.ProcessEnv = process.env): Result<Access> {
  if (kubeconfig !== undefined) return readKubeconfig(kubeconfig, master);
  if (master === undefined) return readInCluster(env);
  const server = parseServer(master);
  if (server === undefined) return failure(`--master is "${master}", must be ${SERVER}`);
  const tls = { ca: undefined, insecure: false, serverName: undefined };
  return success({ server, tls, identity: { described: 'no credentials, because there is no --kubeconfig' } });
}
