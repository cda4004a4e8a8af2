/** The address of an API server and this client's identity there, as read from the files. */
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

/** Versions of the exec API that weir speaks (client-go, plugin/pkg/client/auth/exec). */
export const EXEC_API_VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'] as const;

/** A program that hands out credentials (client-go, plugin/pkg/client/auth/exec). */
export interface ExecPlugin {
  /** For messages. */
  readonly subject: string;
  readonly apiVersion: (typeof EXEC_API_VERSIONS)[number];
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string;
  /** The cluster that it receives, in the fields of a kubeconfig. */
  readonly cluster: Readonly<Record<string, unknown>> | undefined;
}
