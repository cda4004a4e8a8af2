import { isDeepStrictEqual } from 'node:util';
import type { ModelObject } from '#model/objects.ts';
import type { IdentifiedProblem } from '../active-problems.ts';

/** Objects by `objectId`. */
export type ObjectsById = ReadonlyMap<string, ModelObject>;

/** Which version of an object counts when several files have it: that of the first file by name. */
export interface FilePrecedence {
  /** What a file holds now; nothing for one that is gone. An object that is as before is the same JavaScript object. */
  replace(path: string, objects: ObjectsById): void;
}

export interface FilePrecedenceOutput {
  set(object: ModelObject): void;
  remove(object: ModelObject): void;
  /** All that is wrong with how files share one object. */
  shared(id: string, findings: readonly IdentifiedProblem[]): void;
}

/** Unique among all objects; how messages call it. */
export const objectId = ({ kind, key }: ModelObject): string => `${kind} ${key}`;

const NOTHING: ObjectsById = new Map();
const NO_OWNERS: readonly string[] = [];

/** FilePrecedence of no file yet. */
export function createFilePrecedence(output: FilePrecedenceOutput): FilePrecedence {
  const files = new Map<string, ObjectsById>();
  const ownersOf = new Map<string, readonly string[]>();

  const publish = (before: ModelObject | undefined, now: ModelObject | undefined): void => {
    if (now !== undefined && !isDeepStrictEqual(before, now)) output.set(now);
    if (now === undefined && before !== undefined) output.remove(before);
  };

  const changeOwners = (id: string, before: readonly string[], now: readonly string[]): void => {
    if (now.length > 0) ownersOf.set(id, now);
    else ownersOf.delete(id);
    if (before.length > 1 || now.length > 1) output.shared(id, sharing(id, now));
  };

  return {
    replace(path, objects) {
      const held = files.get(path) ?? NOTHING;
      files.set(path, objects);
      const alone = [path];
      for (const id of new Set([...held.keys(), ...objects.keys()])) {
        if (held.get(id) === objects.get(id)) continue;
        const before = ownersOf.get(id) ?? NO_OWNERS;
        const others = before.filter((owner) => owner !== path);
        const now = !objects.has(id) ? others : others.length === 0 ? alone : [...others, path].sort();
        const version = (owner: string | undefined): ModelObject | undefined =>
          owner === undefined ? undefined : files.get(owner)?.get(id);
        changeOwners(id, before, now);
        publish(before[0] === path ? held.get(id) : version(before[0]), version(now[0]));
      }
      if (objects.size === 0) files.delete(path);
    },
  };
}

function sharing(id: string, owners: readonly string[]): readonly IdentifiedProblem[] {
  if (owners.length < 2) return [];
  const message = `${id} is in ${owners[0]} and in ${owners.slice(1).join(', ')}: weir uses the version in ${owners[0]}`;
  return [{ id: message, reason: 'duplicate', message }];
}
