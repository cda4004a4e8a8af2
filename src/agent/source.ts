import type { Config } from '#config/config.ts';
import { type Result, success } from '#lib/result.ts';
import type { Log } from '#observe/log.ts';
import { readAccess } from '#sources/api/access.ts';
import { createApiSource } from '#sources/api/api-source.ts';
import { createManifestSource } from '#sources/manifests.ts';
import type { Source } from '#sources/source.ts';

/** The source that was configured, or why it can be none: files that say how to reach an API server are looked at before anything else. */
export function createSource({ source, nodeName }: Config, log: Log): Result<Source> {
  const note = (message: string): void => log.info(message);
  if (source.type === 'manifests') return success(createManifestSource({ dir: source.dir, note }));
  const access = readAccess(source);
  if (!access.ok) return access;
  log.info('Following an API server', { server: access.value.server.href, identity: access.value.identity.described });
  return success(createApiSource({ readAccess: () => readAccess(source), nodeName, note }));
}
