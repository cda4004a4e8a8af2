/** Why the agent ends, as its exit code: who has to do something about it. */
export const EXIT_CODES = {
  /** Nobody expected this. */
  failed: 1,
  /** Whoever wrote the flags, the configuration file or the kubeconfig. */
  usage: 2,
  /** Whoever looks after the node: its kernel, its mounts, the rights of the process. */
  node: 3,
  /** Another agent works here. */
  taken: 4,
  /** A port is in use that must not be (--bind-address-hard-fail). */
  port: 5,
  /** Nobody, if it is started again: the configuration file has changed (kube-proxy ends then, too; options.go, eventHandler). */
  changed: 6,
} as const;

/** The agent cannot work, and waiting would not help. The message is a whole sentence. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(reason: keyof typeof EXIT_CODES, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = EXIT_CODES[reason];
  }
}
