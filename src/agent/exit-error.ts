/** Exit codes of the agent, by who can remedy the cause. */
export const EXIT_CODES = {
  /** An unexpected error. */
  failed: 1,
  /** The author of the flags, the configuration file or the kubeconfig. */
  usage: 2,
  /** The administrator of the node: kernel, mounts, rights of the process. */
  node: 3,
  /** Another agent runs in this network namespace. */
  taken: 4,
  /** A port of the agent is in use (--bind-address-hard-fail). */
  port: 5,
  /** A restart: the configuration file has changed (kube-proxy ends then, too; options.go, eventHandler). */
  changed: 6,
} as const;

/** The agent cannot work, and a retry would not help. The message is a whole sentence. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(reason: keyof typeof EXIT_CODES, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = EXIT_CODES[reason];
  }
}
