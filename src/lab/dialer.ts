import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PROBER } from './paths.ts';
import { type Place, spawnAt } from './place.ts';
import type { CommandName, Commands, Hold, HoldReport, Load, LoadReport, Reply, Request, Seen, Target } from './probe.ts';

/** Traffic at a place until it is stopped; `done` resolves when it ends by itself or is stopped. */
export interface Running<T> {
  readonly done: Promise<T>;
  stop(): Promise<T>;
}

/** Dials from one place, through one process that lives there as long as the dialer. */
export class Dialer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #place: Place;
  #last = 0;
  #gone: string | undefined;

  constructor(place: Place) {
    this.#place = place;
    // Detached: a terminal's Ctrl-C is for this process to act on.
    this.#child = spawnAt(place, [process.execPath, PROBER], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', (line) => this.#settle(JSON.parse(line)));
    this.#child.stdin?.on('error', () => {});
    this.#child.on('error', (error) => this.#fail(error.message));
    this.#child.on('exit', (code, signal) => this.#fail(`it ended (${signal ?? code})`));
  }

  dial(target: Target): Promise<Seen> {
    return this.#ask('dial', target).done;
  }

  exchange(targets: readonly Target[]): Promise<readonly Seen[]> {
    return this.#ask('exchange', targets).done;
  }

  load(what: Load): Running<LoadReport> {
    return this.#ask('load', what);
  }

  hold(what: Hold): Running<HoldReport> {
    return this.#ask('hold', what);
  }

  /** Ends the process; what still runs in it is given up. */
  close(): void {
    this.#child.stdin?.end();
  }

  #ask<C extends CommandName>(command: C, input: Commands[C]['input']): Running<Commands[C]['output']> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<Commands[C]['output']>();
    // The caller may not be listening yet when the prober ends.
    waiting.promise.catch(() => {});
    this.#waiting.set(id, waiting as PromiseWithResolvers<unknown>);
    if (this.#gone === undefined) this.#write({ id, command, input });
    else this.#fail(this.#gone);
    const stop = () => {
      this.#write({ stop: id });
      return waiting.promise;
    };
    return { done: waiting.promise, stop };
  }

  #write(request: Request): void {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('error' in reply) waiting?.reject(new Error(`Cannot dial from ${this.#place.name}: ${reply.error}`));
    else waiting?.resolve(reply.output);
  }

  #fail(reason: string): void {
    this.#gone = reason;
    for (const { reject } of this.#waiting.values())
      reject(new Error(`Cannot dial from ${this.#place.name}: its prober is gone, ${reason}`));
    this.#waiting.clear();
  }
}
