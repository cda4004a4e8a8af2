import { setTimeout } from 'node:timers/promises';
import type { ActiveProblems, IdentifiedProblem } from '../active-problems.ts';
import { describeFileError } from '../file-error.ts';
import {
  type FolderWatch,
  folderIdentity,
  isEmptySignature,
  listManifests,
  type Signature,
  signatureOf,
  type Touch,
  watchFolder,
} from './folder.ts';

/** Events come in bursts. */
const COALESCE_MS = 10;
/** How long a file must look the same: a process that writes it in place is done by then. */
const SETTLE_MS = 20;
const MISSING_FOLDER_MS = 500;

/** Equal to no file's. */
const CHANGED_MEANWHILE: Signature = 'changed meanwhile';

/** What the folder's reader knows already. */
export interface Known {
  paths(): Iterable<string>;
  isJudged(path: string, signature: Signature): boolean;
}

/** Files that changed and have settled, in order of their names. */
export type Changed = readonly (readonly [path: string, signature: Signature])[];

/** Sees what changes in a folder: by events, and by looking at everything now and then. */
export class FolderView {
  readonly #dir: string;
  readonly #rescanMs: number;
  readonly #problems: ActiveProblems;
  readonly #halt = new AbortController();
  #alarm = new AbortController();
  #watch: FolderWatch | undefined;
  #identity: string | undefined;
  #everRead = false;
  /** Manifests that may have changed, and how. */
  #touched = new Map<string, Touch>();
  #allTouched = true;
  /** Changed files and how they looked last. */
  readonly #unsettled = new Map<string, Signature>();
  #rescanAt = 0;
  #replacedAt = Number.NEGATIVE_INFINITY;

  /** How often everything was looked at. Doubtful states are believed when they last from one rescan to the next. */
  rescans = 0;

  constructor(dir: string, rescanMs: number, problems: ActiveProblems) {
    this.#dir = dir;
    this.#rescanMs = rescanMs;
    this.#problems = problems;
  }

  get stopped(): boolean {
    return this.#halt.signal.aborted;
  }

  /** Nothing has changed that was not handed out. */
  get calm(): boolean {
    return this.#unsettled.size === 0;
  }

  /** Another folder has replaced the earlier one, and may still be incomplete. */
  get isNew(): boolean {
    return this.rescans - this.#replacedAt < 2;
  }

  stop(): void {
    this.#halt.abort();
    this.#watch?.close();
  }

  /** Until there may be something to see. */
  async sleep(): Promise<void> {
    const work = this.#touched.size > 0 || this.#allTouched;
    if (!this.calm) return this.#pause(SETTLE_MS, this.#halt.signal);
    if (!work) {
      this.#alarm = new AbortController();
      const idle = this.#identity === undefined ? MISSING_FOLDER_MS : Math.max(0, this.#rescanAt - performance.now());
      await this.#pause(Math.min(idle, this.#rescanMs), AbortSignal.any([this.#alarm.signal, this.#halt.signal]));
    }
    await this.#pause(COALESCE_MS, this.#halt.signal);
  }

  /** Undefined while there is no folder to read. */
  async look(known: Known): Promise<Changed | undefined> {
    try {
      return await this.#settled(await this.#candidates(known), known);
    } catch (error) {
      this.#lose(error);
      return undefined;
    }
  }

  /** A file that was handed out and changed again while it was read. */
  again(path: string): void {
    this.#unsettled.set(path, CHANGED_MEANWHILE);
  }

  async #candidates(known: Known): Promise<ReadonlyMap<string, Touch>> {
    const identity = await folderIdentity(this.#dir);
    if (identity !== this.#identity) this.#follow(identity);
    if (performance.now() >= this.#rescanAt) {
      this.rescans++;
      this.#allTouched = true;
    }
    const written = (paths: Iterable<string>): [string, Touch][] => Array.from(paths, (path) => [path, 'written']);
    const candidates = new Map([...written(this.#unsettled.keys()), ...this.#touched]);
    this.#touched = new Map();
    if (!this.#allTouched) return candidates;
    this.#allTouched = false;
    const listed = await listManifests(this.#dir);
    this.#everRead = true;
    this.#problems.replace('folder', []);
    this.#rescanAt = performance.now() + this.#rescanMs;
    return new Map([...written(listed), ...written(known.paths()), ...candidates]);
  }

  async #settled(candidates: ReadonlyMap<string, Touch>, known: Known): Promise<Changed> {
    const looks = await Promise.all([...candidates].map(async ([path, touch]) => ({ path, touch, signature: await signatureOf(path) })));
    return looks
      .filter(({ path, touch, signature }) => this.#hasSettled(path, signature, known, touch))
      .map(({ path, signature }) => [path, signature] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** A file that was moved into place is complete; one that is written there must look the same twice. */
  #hasSettled(path: string, signature: Signature, known: Known, touch: Touch): boolean {
    const complete = touch === 'replaced' && signature !== undefined && !isEmptySignature(signature);
    const settled = complete || (this.#unsettled.has(path) && this.#unsettled.get(path) === signature);
    const judged = known.isJudged(path, signature);
    if (judged || settled) this.#unsettled.delete(path);
    else this.#unsettled.set(path, signature);
    return settled && !judged;
  }

  #follow(identity: string): void {
    this.#watch?.close();
    this.#watch = this.#startWatch();
    if (this.#everRead) this.#replacedAt = this.rescans;
    this.#identity = identity;
    this.#allTouched = true;
  }

  #startWatch(): FolderWatch | undefined {
    try {
      const watch = watchFolder(this.#dir, (path, touch) => this.#ring(path, touch));
      this.#problems.replace('watch', []);
      return watch;
    } catch (error) {
      const message = `Cannot watch folder ${this.#dir}: ${describeFileError(error)}; changes are seen within ${this.#rescanMs / 1000} seconds`;
      this.#problems.replace('watch', [{ id: message, reason: 'folder_unwatched', message }]);
      return undefined;
    }
  }

  #lose(error: unknown): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#identity = undefined;
    this.#unsettled.clear();
    this.#problems.replace('folder', [missing(this.#dir, error, this.#everRead)]);
  }

  #ring(path?: string, touch: Touch = 'written'): void {
    if (path === undefined) this.#allTouched = true;
    else this.#touched.set(path, touch);
    this.#alarm.abort();
  }

  async #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    await setTimeout(milliseconds, undefined, { signal }).catch(() => {});
  }
}

function missing(dir: string, error: unknown, wasThere: boolean): IdentifiedProblem {
  const effect = wasThere ? 'its last contents stay in force' : 'waiting for it';
  const message = `Cannot read folder ${dir}: ${describeFileError(error)}; ${effect}`;
  return { id: message, reason: 'folder_missing', message };
}
