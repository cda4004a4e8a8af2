import { isDeepStrictEqual } from 'node:util';
import { decodeObject } from '#model/decode.ts';
import type { Fields } from '#model/fields.ts';
import { keyOf } from '#model/metadata.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import type { ActiveProblems } from '../active-problems.ts';
import type { Missing } from '../doubtful-list.ts';
import type { Sink } from '../source.ts';
import type { Entry, ObjectProblems } from './journal-entry.ts';

/** All objects of one kind as the sink has them. */
export class ObjectCache {
  readonly #kind: ModelKind;
  readonly #sink: Sink;
  readonly #problems: ActiveProblems;
  readonly #objects = new Map<string, ModelObject>();
  readonly #said = new Map<string, ObjectProblems>();
  /** Since the last look. */
  #changed = new Set<string>();
  /** During a list: earlier objects that have not come yet. */
  #unseen = new Set<string>();
  #before = 0;

  constructor(kind: ModelKind, sink: Sink, problems: ActiveProblems) {
    this.#kind = kind;
    this.#sink = sink;
    this.#problems = problems;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** All that is known, as it is when its turn comes. */
  *entries(): Generator<Entry> {
    for (const key of this.#objects.keys()) yield this.#entry(key);
    for (const key of this.#said.keys()) if (!this.#objects.has(key)) yield this.#entry(key);
  }

  /** Objects that have changed since the last call, in their present state. */
  takeChanges(): readonly Entry[] {
    const entries = [...this.#changed].map((key) => this.#entry(key));
    this.#changed.clear();
    return entries;
  }

  /** Objects of an earlier time. */
  recall(entries: Iterable<Entry>): void {
    for (const { key, object, said } of entries) {
      if (said !== undefined) this.#say(key, said.reason, said.messages);
      if (object === undefined) continue;
      this.#objects.set(key, object);
      this.#sink.recall(object);
    }
    this.#changed.clear();
  }

  /** Begins a list: every object that is not `set` until its end is gone. */
  startList(): void {
    this.#unseen = new Set(this.#objects.keys());
    this.#before = this.#unseen.size;
  }

  /** What the list lacked so far. */
  get missing(): Missing {
    return { missing: this.#unseen.size, before: this.#before };
  }

  /** Removes what the list lacked. */
  removeMissing(): void {
    for (const key of this.#unseen) this.#remove(key);
    this.#unseen.clear();
  }

  /** An object as the API prints it. Of one that is not valid the last good version stays. */
  set(value: unknown): void {
    const decoded = decodeObject(value);
    if (decoded.type === 'object') this.#take(decoded.object, decoded.warnings);
    else if (decoded.type === 'invalid') this.#keep(decoded.key, decoded.errors);
    else this.remove(value as Fields);
  }

  remove(object: Fields): void {
    const key = keyOf(this.#kind, object);
    this.#unseen.delete(key);
    this.#remove(key);
  }

  #take(object: ModelObject, warnings: readonly string[]): void {
    const { key } = object;
    this.#unseen.delete(key);
    this.#say(key, 'object_warning', warnings);
    if (isDeepStrictEqual(this.#objects.get(key), object)) return;
    this.#objects.set(key, object);
    this.#changed.add(key);
    this.#sink.set(object);
  }

  #keep(key: string, errors: readonly string[]): void {
    this.#unseen.delete(key);
    const effect = this.#objects.has(key) ? 'its last good version stays in force' : 'it is left out';
    this.#say(key, 'invalid_object', [`${errors.join('; ')}; ${effect}`]);
  }

  #remove(key: string): void {
    this.#say(key, 'object_warning', []);
    if (!this.#objects.delete(key)) return;
    this.#changed.add(key);
    this.#sink.remove(this.#kind, key);
  }

  #entry(key: string): Entry {
    return { key, object: this.#objects.get(key), said: this.#said.get(key) };
  }

  #say(key: string, reason: string, messages: readonly string[]): void {
    if (messages.length > 0 || this.#said.has(key)) this.#changed.add(key);
    if (messages.length > 0) this.#said.set(key, { reason, messages });
    else this.#said.delete(key);
    this.#problems.replace(
      `${this.#kind} ${key}`,
      messages.map((message) => ({ id: message, reason, message })),
    );
  }
}
