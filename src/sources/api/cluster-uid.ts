import { isFields } from '#model/fields.ts';
import { ApiFailure } from './api-failure.ts';
import type { Connection } from './connection.ts';
import { pageOf } from './response-body.ts';

const PATH = `/api/v1/namespaces/default/services?${new URLSearchParams({ fieldSelector: 'metadata.name=kubernetes' })}`;

/**
 * Identifies a cluster: the UID of Service default/kubernetes, which an API server creates if it is missing
 * (kubernetes, pkg/controlplane/controller/kubernetesservice). Empty if it is not visible. Throws ApiFailure.
 */
export async function clusterUid(connection: Connection, signal: AbortSignal): Promise<string> {
  try {
    const { items } = await pageOf(await connection.get(PATH, signal), 'List of Service default/kubernetes');
    for (const item of items) {
      if (isFields(item) && isFields(item.metadata) && typeof item.metadata.uid === 'string') return item.metadata.uid;
    }
    return '';
  } catch (error) {
    if (error instanceof ApiFailure && error.reason === 'forbidden') return '';
    throw error;
  }
}
