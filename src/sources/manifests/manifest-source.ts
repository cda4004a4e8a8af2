import type { ModelObject } from '#model/objects.ts';
import { createActiveProblems } from '../active-problems.ts';
import type { Sink, Source } from '../source.ts';
import { createFilePrecedence } from './file-precedence.ts';
import { FolderView } from './folder-view.ts';
import { ManifestFiles } from './manifest-files.ts';
import { createOrphans, type Orphans } from './orphans.ts';

export interface ManifestSourceOptions {
  /** Flat folder of *.yaml, *.yml and *.json files. */
  readonly dir: string;
  /** Receives good news: a file that can be read again. */
  readonly note?: (message: string) => void;
  /** Milliseconds between two looks at everything: network file systems and full event queues lose events. */
  readonly rescanMs?: number;
}

/** Looks after which a file that never settles no longer holds up the first complete state; one takes about 20 ms. */
const MAX_LOOKS_BEFORE_SYNC = 50;

/**
 * Kubernetes objects from a folder, followed as its files change. A problem with a file or an object leaves its last good state
 * in force and everything else untouched.
 */
export function createManifestSource({ dir, note = () => {}, rescanMs = 5000 }: ManifestSourceOptions): Source {
  let stop = async (): Promise<void> => {};
  return {
    start(sink) {
      const problems = createActiveProblems((problem) => sink.problem(problem));
      const view = new FolderView(dir, rescanMs, problems);
      const orphans = createOrphans((slice, findings) => problems.replace(`slice ${slice}`, findings));
      const precedence = createFilePrecedence({
        ...deliver(sink, orphans),
        shared: (id, findings) => problems.replace(`object ${id}`, findings),
      });
      const files = new ManifestFiles({ precedence, problems, note, stopped: () => view.stopped });
      const finished = follow(view, files, sink, orphans);
      stop = () => {
        view.stop();
        return finished;
      };
    },
    stop: () => stop(),
  };
}

const deliver = (sink: Sink, orphans: Orphans): { set(object: ModelObject): void; remove(object: ModelObject): void } => ({
  set: (object) => {
    sink.set(object);
    orphans.set(object);
  },
  remove: (object) => {
    sink.remove(object.kind, object.key);
    orphans.remove(object);
  },
});

async function follow(view: FolderView, files: ManifestFiles, sink: Sink, orphans: Orphans): Promise<void> {
  let synced = false;
  let complete = false;
  for (let looks = 0; !view.stopped; await view.sleep()) {
    const changed = await view.look(files);
    if (changed === undefined) continue;
    for (const [path, signature] of changed) {
      if (view.stopped) return;
      if (signature === undefined) files.remove(path, !view.isNew, view.rescans);
      else if (!(await files.read(path, signature, view.rescans))) view.again(path);
    }
    if (view.stopped) return;
    if (!synced && (view.calm || ++looks > MAX_LOOKS_BEFORE_SYNC)) {
      synced = true;
      sink.synced();
    }
    if (synced && !complete && view.calm && files.complete) {
      complete = true;
      sink.complete();
    }
    if (synced) orphans.check();
  }
}
