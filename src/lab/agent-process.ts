import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WEIR } from './paths.ts';
import { type Place, spawnAt } from './place.ts';

const POLL_MS = 10;
const READY_WAIT_MS = 180_000;
const LOG_LINES_SHOWN = 12;

/** The agent of one node of a lab; it outlives the process that started it. */
export class AgentProcess {
  readonly #place: Place;
  readonly #flags: readonly string[];
  readonly #logFile: string;
  readonly #pidFile: string;
  #child: ChildProcess | undefined;
  #logStart = 0;

  /** `folder` takes the log and the file with the process id. */
  constructor(place: Place, flags: readonly string[], files: { readonly log: string; readonly pid: string }) {
    this.#place = place;
    this.#flags = flags;
    this.#logFile = files.log;
    this.#pidFile = files.pid;
  }

  /** The agent's log since its last start. */
  get log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile).subarray(this.#logStart).toString() : '';
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the agent, `extraFlags` after the lab's own, and waits until it is ready. */
  async start({
    signal,
    extraFlags = [],
  }: {
    readonly signal?: AbortSignal | undefined;
    readonly extraFlags?: readonly string[];
  } = {}): Promise<void> {
    if (this.#running()) throw new Error(`Cannot start the agent of ${this.#place.name}: it is running`);
    this.#logStart = existsSync(this.#logFile) ? readFileSync(this.#logFile).length : 0;
    const log = openSync(this.#logFile, 'a');
    this.#child = spawnAt(this.#place, [WEIR, 'run', ...this.#flags, ...extraFlags], { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child.unref();
    writeFileSync(this.#pidFile, `${this.#child.pid}\n`);
    await this.#ready(signal);
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#child || !this.#running()) return;
    const exit = once(this.#child, 'exit');
    this.#child.ref();
    this.#child.kill(signal);
    await exit;
  }

  #running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #ready(signal: AbortSignal | undefined): Promise<void> {
    const deadline = Date.now() + READY_WAIT_MS;
    while (!/^.*\bReady: /m.test(this.log)) {
      signal?.throwIfAborted();
      if (!this.#running()) throw new Error(`The agent of ${this.#place.name} ended before it was ready:\n${this.#lastLines()}`);
      if (Date.now() > deadline)
        throw new Error(`The agent of ${this.#place.name} is not ready after ${READY_WAIT_MS / 1000} s:\n${this.#lastLines()}`);
      await sleep(POLL_MS);
    }
  }

  #lastLines(): string {
    return this.log.trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n');
  }
}
