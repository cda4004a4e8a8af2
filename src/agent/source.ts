import { join } from 'node:path';
import type { Config } from '#config/config.ts';
import { type Result, success } from '#lib/result.ts';
import type { Log } from '#observe/log.ts';
import { type Announcer, SILENT } from '#sources/announcer.ts';
import { readAccess } from '#sources/api/access.ts';
import { createApiAnnouncer } from '#sources/api/api-announcer.ts';
import { createApiSource } from '#sources/api/api-source.ts';
import { removeJournal } from '#sources/api/journal.ts';
import { createManifestSource } from '#sources/manifests.ts';
import type { Source } from '#sources/source.ts';

/** Where objects come from, and who takes what is said about them. */
export interface Origin {
  readonly source: Source;
  readonly announcer: Announcer;
}

/** What was configured, or why it cannot be: files that say how to reach an API server are looked at before anything else. */
export function createOrigin({ source, nodeName, stateDir, journalDir }: Config, log: Log): Result<Origin> {
  const note = (message: string): void => log.info(message);
  if (source.type === 'manifests') return success({ source: createManifestSource({ dir: source.dir, note }), announcer: SILENT });
  const access = readAccess(source);
  if (!access.ok) return access;
  log.info('Following an API server', { server: access.value.server.href, identity: access.value.identity.described });
  const server = { readAccess: () => readAccess(source), nodeName, note };
  const problem = (message: string): void => log.warn(message);
  const journal = journalDir === undefined ? undefined : journalPath(journalDir, stateDir);
  return success({ source: createApiSource({ ...server, journal }), announcer: createApiAnnouncer({ ...server, problem }) });
}

/** One for each state folder: whoever works on that is alone. */
const journalPath = (journalDir: string, stateDir: string): string =>
  join(journalDir, `${stateDir.split('/').filter(Boolean).join('+')}.journal`);

/** Removes what agents with these folders have written down; says so where there was something. */
export function removeJournalOf(journalDir: string, stateDir: string): string[] {
  const path = journalPath(journalDir, stateDir);
  return journalDir !== '' && removeJournal(path) ? [`Removed ${path}`] : [];
}
