import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Place, spawnAt } from '#lab/place.ts';

const LOG_LINES_SHOWN = 12;

/** The kernel sends no signal for a parent that ended before the process asked for the signal. */
const UNLESS_ORPHANED = '[ $PPID = "$0" ] && exec "$@"';

/** A long-lived process of a place. Unless it stays, it ends with the process that started it, however that one ends. */
export class Daemon {
  readonly name: string;
  readonly #place: Place;
  readonly #argv: readonly string[];
  readonly #log: string;
  #child: ChildProcess | undefined;

  /** Its output goes to `NAME.log` in a folder. */
  constructor(place: Place, dir: string, name: string, argv: readonly string[], { stays = false } = {}) {
    this.name = name;
    this.#place = place;
    this.#argv = stays ? argv : ['setpriv', '--pdeathsig', 'KILL', '--', '/bin/sh', '-c', UNLESS_ORPHANED, `${process.pid}`, ...argv];
    this.#log = join(dir, `${name}.log`);
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): void {
    if (this.isRunning) throw new Error(`Cannot start ${this.name}: it is running`);
    const log = openSync(this.#log, 'a');
    // Detached: a terminal's Ctrl-C is for the process that started it to act on.
    const options = { detached: true, stdio: ['ignore', log, log] as ['ignore', number, number] };
    this.#child = spawnAt(this.#place, this.#argv, options);
    closeSync(log);
    this.#child.unref();
  }

  /** Sends a signal and waits for the end; nothing happens if it does not run. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.#child || !this.isRunning) return;
    const exit = once(this.#child, 'exit');
    this.#child.ref();
    this.#child.kill(signal);
    await exit;
  }

  /** What it said last, for messages. */
  lastLines(): string {
    return readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n');
  }
}
