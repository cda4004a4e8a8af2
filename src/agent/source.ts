import { join } from 'node:path';
import type { Config, SourceConfig } from '#config/config.ts';
import { createApiEventRecorder } from '#events/api-event-recorder.ts';
import { type EventRecorder, NO_EVENTS } from '#events/event-recorder.ts';
import { type Result, success } from '#lib/result.ts';
import { formatTarget } from '#lib/target.ts';
import type { Log } from '#observe/log.ts';
import { readAccess } from '#sources/api/access.ts';
import { createApiSource } from '#sources/api/api-source.ts';
import { removeJournal } from '#sources/api/journal.ts';
import { createManifestSource } from '#sources/manifests/manifest-source.ts';
import type { Source } from '#sources/source.ts';

/** The source of objects, and the recipient of Events about them. */
export interface Origin {
  readonly source: Source;
  readonly events: EventRecorder;
}

/** The configured source, and the node that it is for; undefined = the whole cluster. */
interface OriginConfig {
  readonly source: SourceConfig;
  readonly nodeName: string | undefined;
  /** File with the journal of an API server; undefined: no journal. */
  readonly journal: string | undefined;
}

/** Opens the configured source, or returns why it cannot. Reads the files that say how to reach a server first. */
export async function createOrigin({ source, nodeName, journal }: OriginConfig, log: Log): Promise<Result<Origin>> {
  const note = (message: string): void => log.info(message);
  if (source.type === 'manifests') return success({ source: createManifestSource({ dir: source.dir, note }), events: NO_EVENTS });
  if (source.type === 'kpng') return createKpngOrigin(source, nodeName, log);
  const access = readAccess(source);
  if (!access.ok) return access;
  log.info('Following an API server', { server: access.value.server.href, identity: access.value.identity.described });
  const server = { readAccess: () => readAccess(source), nodeName, note };
  const problem = (message: string): void => log.warn(message);
  const events = nodeName === undefined ? NO_EVENTS : createApiEventRecorder({ ...server, nodeName, problem });
  return success({ source: createApiSource({ ...server, journal }), events });
}

/** Imported on demand, because it costs memory. */
async function createKpngOrigin(
  { target, tls }: Extract<SourceConfig, { type: 'kpng' }>,
  nodeName: string | undefined,
  log: Log,
): Promise<Result<Origin>> {
  const [{ createKpngSource }, { readTlsFiles }] = await Promise.all([
    import('#sources/kpng/kpng-source.ts'),
    import('#grpc/tls-files.ts'),
  ]);
  const readTls = () => readTlsFiles(tls);
  const read = readTls();
  if (!read.ok) return read;
  log.info('Following a KPNG server', { server: formatTarget(target), tls: tls === undefined ? 'none' : 'mutual' });
  return success({ source: createKpngSource({ target, readTls, nodeName, note: (message) => log.info(message) }), events: NO_EVENTS });
}

/** Path of the journal. There is one per state folder, because one agent at a time uses a state folder. */
export const journalOf = ({ journalDir, stateDir }: Pick<Config, 'journalDir' | 'stateDir'>): string | undefined =>
  journalDir === undefined ? undefined : journalPath(journalDir, stateDir);

const journalPath = (journalDir: string, stateDir: string): string =>
  join(journalDir, `${stateDir.split('/').filter(Boolean).join('+')}.journal`);

/** Removes the journals of agents with these folders; returns a line for each. */
export function removeJournalOf(journalDir: string, stateDir: string): string[] {
  const path = journalPath(journalDir, stateDir);
  return journalDir !== '' && removeJournal(path) ? [`Removed ${path}`] : [];
}
