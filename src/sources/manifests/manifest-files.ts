import { readFile } from 'node:fs/promises';
import type { ActiveProblems, IdentifiedProblem } from '../active-problems.ts';
import { describeFileError } from '../file-error.ts';
import type { FilePrecedence } from './file-precedence.ts';
import { type Signature, signatureOf } from './folder.ts';
import { type Manifest, NO_MANIFEST, readManifest } from './read-manifest.ts';

/** The state of one file. */
interface FileState {
  /** Of the content that was judged last. */
  signature: Signature;
  manifest: Manifest;
}

/** Where the files' content goes. */
export interface FilesOutput {
  readonly precedence: FilePrecedence;
  readonly problems: ActiveProblems;
  note(message: string): void;
  stopped(): boolean;
}

/** Equal to no file's: it is tried again at every rescan. */
const UNREAD: Signature = '';

/** The files of the folder with their last good contents; applies their changes. */
export class ManifestFiles {
  readonly #output: FilesOutput;
  readonly #states = new Map<string, FileState>();
  /** Files that look unfinished, and the rescan at which that was first seen. */
  readonly #doubts = new Map<string, number>();
  /** Files that were refused, or hold an object that was. */
  readonly #refused = new Set<string>();

  constructor(output: FilesOutput) {
    this.#output = output;
  }

  paths(): Iterable<string> {
    return this.#states.keys();
  }

  /** There is a file, and nothing was refused or is in doubt: what the files do not name does not exist. */
  get complete(): boolean {
    return this.#states.size > 0 && this.#refused.size === 0 && this.#doubts.size === 0;
  }

  isJudged(path: string, signature: Signature): boolean {
    if (this.#states.get(path)?.signature !== signature) return false;
    this.#doubts.delete(path);
    return true;
  }

  /** A file is gone. `sure` false: the folder itself was replaced and may still be incomplete. */
  remove(path: string, sure: boolean, rescan: number): void {
    if (!sure && this.#isDoubtful(path, rescan)) return;
    this.#states.delete(path);
    this.#doubts.delete(path);
    this.#refused.delete(path);
    this.#output.precedence.replace(path, NO_MANIFEST.objects);
    this.#output.problems.replace(`text ${path}`, []);
    this.#output.problems.replace(`objects ${path}`, []);
  }

  /** Reads a file whose signature has settled. False: it changed meanwhile, look again. */
  async read(path: string, signature: Signature, rescan: number): Promise<boolean> {
    const before = this.#states.get(path)?.manifest ?? NO_MANIFEST;
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch (error) {
      this.#states.set(path, { signature: UNREAD, manifest: before });
      this.#complain(path, 'file_unreadable', `Cannot read ${path}: ${describeFileError(error)}; its last good version stays in force`);
      return true;
    }
    if ((await signatureOf(path)) !== signature) return false;
    const manifest = await readManifest(path, bytes, before);
    if (this.#output.stopped()) return true;
    if (typeof manifest === 'string') this.#refuse(path, signature, before, manifest);
    else if (manifest.decoded.size > 0) this.#accept(path, signature, manifest, []);
    else if (!this.#isDoubtful(path, rescan)) this.#accept(path, signature, NO_MANIFEST, [emptiness(path, before.objects.size)]);
    return true;
  }

  #refuse(path: string, signature: Signature, before: Manifest, reason: string): void {
    this.#states.set(path, { signature, manifest: before });
    this.#complain(path, 'parse', `Cannot use ${path}: ${reason}; its last good version stays in force`);
  }

  #accept(path: string, signature: Signature, manifest: Manifest, findings: readonly IdentifiedProblem[]): void {
    this.#states.set(path, { signature, manifest });
    this.#doubts.delete(path);
    this.#output.precedence.replace(path, manifest.objects);
    if (this.#output.problems.replace(`text ${path}`, findings)) this.#output.note(`${path} can be read again`);
    this.#output.problems.replace(`objects ${path}`, manifest.findings);
    if (manifest.findings.some(({ reason }) => reason === 'invalid_object')) this.#refused.add(path);
    else this.#refused.delete(path);
  }

  #complain(path: string, reason: string, message: string): void {
    this.#refused.add(path);
    this.#output.problems.replace(`text ${path}`, [{ id: message, reason, message }]);
  }

  /** True until the state has lasted from one rescan to the next: writers that empty a file first are caught at it now and then. */
  #isDoubtful(path: string, rescan: number): boolean {
    const since = this.#doubts.get(path) ?? rescan;
    this.#doubts.set(path, since);
    return rescan - since < 2;
  }
}

function emptiness(path: string, lost: number): IdentifiedProblem {
  const message =
    lost === 0 ? `${path} is empty` : `${path} is empty, so what it held is gone: ${lost} ${lost === 1 ? 'object' : 'objects'}`;
  return { id: message, reason: 'empty_file', message };
}
