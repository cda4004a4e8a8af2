import { failure, type Result, success } from '#lib/result.ts';
import type { ExecPlugin } from './exec-plugin.ts';
import { readInCluster } from './in-cluster.ts';
import { readKubeconfig } from './kubeconfig.ts';
import { parseServer, SERVER } from './server-address.ts';

/** How to reach an API server and who we are there, as the files said when it was read. */
export interface Access {
  /** May have a path: some gateways serve several clusters. */
  readonly server: URL;
  readonly tls: TlsSettings;
  readonly identity: Identity;
}

/** How the server proves who it is. */
export interface TlsSettings {
  /** PEM; undefined = the usual authorities. */
  readonly ca: string | undefined;
  readonly insecure: boolean;
  /** Name in the server's certificate, where it is not that of the address. */
  readonly serverName: string | undefined;
}

/** Who we are. */
export interface Identity {
  /** For messages: what proves it, never a secret. */
  readonly described: string;
  /** Header of that name. */
  readonly authorization?: string;
  /** PEM of the client certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
  /** Program that is asked for the rest. */
  readonly plugin?: ExecPlugin;
}

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
