/** Requests to a prober and its reports. Times are milliseconds. */

export interface Target {
  readonly protocol: 'tcp' | 'udp';
  /** IPv4-mapped (`::ffff:a.b.c.d`) dials IPv4 from an IPv6 socket. */
  readonly address: string;
  readonly port: number;
  /** Source to bind to; the kernel's choice without. */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** How long to wait for each answer; 1000 without. */
  readonly timeoutMs?: number;
  /** UDP only: send from a socket that is not connected. */
  readonly unconnected?: boolean;
}

export interface Answered {
  readonly outcome: 'answered';
  readonly ms: number;
  /** Pod that answered, and its node. */
  readonly answeredBy: string;
  readonly node: string;
  /** Address of the client as the server saw it. */
  readonly client: string;
  /** Address on which the server answers. */
  readonly server: string;
  /** Who the client believes to talk with: getpeername, or the source of the datagram. */
  readonly peer: string;
}

export type Seen =
  | Answered
  | { readonly outcome: 'refused' | 'timeout'; readonly ms: number }
  | { readonly outcome: 'failed'; readonly code: string; readonly ms: number };

export interface Load {
  /** With a `localPort` each request has a port of its own, from that one up. */
  readonly target: Target;
  /** Requests at a time, each on a connection or socket of its own. */
  readonly concurrency: number;
  /** Total number of requests; without it the load continues until it is stopped. */
  readonly requests?: number;
}

export interface LoadReport {
  readonly ms: number;
  readonly requests: number;
  readonly answered: number;
  /** `refused`, `timeout` or an errno's name -> how often. */
  readonly failures: Readonly<Record<string, number>>;
  /** Pod -> how often. */
  readonly answeredBy: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

export interface Hold {
  readonly target: Target;
  readonly everyMs: number;
}

export interface HoldReport {
  readonly sent: number;
  readonly answered: number;
  /** Pods that answered on this one connection: more than one is a break, too. */
  readonly answeredBy: Readonly<Record<string, number>>;
  /** What ended the connection (errno's name, or `closed`), undefined while it stood. */
  readonly brokenBy?: string;
}

/** What each command takes and gives. */
export interface Commands {
  dial: { input: Target; output: Seen };
  /** One unconnected UDP socket, one datagram after the other. */
  exchange: { input: readonly Target[]; output: readonly Seen[] };
  load: { input: Load; output: LoadReport };
  hold: { input: Hold; output: HoldReport };
}

export type CommandName = keyof Commands;

/** A line to a prober: a command, or the number of a load or hold that should end and report. */
export type Request =
  | { readonly id: number; readonly command: CommandName; readonly input: Commands[CommandName]['input'] }
  | { readonly stop: number };

/** A line from a prober. */
export type Reply =
  | { readonly id: number; readonly output: Commands[CommandName]['output'] }
  | { readonly id: number; readonly error: string };

export const DEFAULT_TIMEOUT_MS = 1000;
