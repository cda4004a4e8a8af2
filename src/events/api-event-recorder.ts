import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '#lib/result.ts';
import { isFields } from '#model/fields.ts';
import { createActiveProblems } from '#sources/active-problems.ts';
import { ApiFailure, type ApiFailureReason } from '#sources/api/api-failure.ts';
import { type Connection, createConnection } from '#sources/api/connection.ts';
import type { Access } from '#sources/api/credentials.ts';
import { pageOf } from '#sources/api/response-body.ts';
import { API_TIMES, type ApiTimes } from '#sources/api/times.ts';
import { createBackOff } from '#timing/back-off.ts';
import { eventOf, type ObjectReference } from './event-body.ts';
import { createEventQuota, type EventQuota } from './event-quota.ts';
import type { EventRecorder, RecordedEvent } from './event-recorder.ts';

export interface ApiAnnouncerOptions {
  /** Asked before each request, so that rotated files count. */
  readonly readAccess: () => Result<Access>;
  readonly nodeName: string;
  /** Receives once why Events do not arrive, until one does. */
  readonly problem: (message: string) => void;
  readonly note: (message: string) => void;
  readonly times?: ApiTimes;
  readonly quota?: EventQuota;
}

/** Announcements that wait for an API server; more are dropped. */
const MAX_WAITING = 50;
/** Of one that the server does not take now; a server that cannot be reached is waited for. */
const MAX_TRIES = 5;
const PASSING: readonly ApiFailureReason[] = ['refused', 'cut'];

interface Saying extends RecordedEvent {
  readonly at: Date;
}

/** Announcements as Events, one after the other, over a connection of their own: they hold up nothing else. */
export function createApiEventRecorder(options: ApiAnnouncerOptions): EventRecorder {
  const { readAccess, nodeName, problem, note, times = API_TIMES, quota = createEventQuota() } = options;
  const connection = createConnection(readAccess, times);
  const problems = createActiveProblems(({ message }) => problem(message));
  const end = new AbortController();
  const { signal } = end;
  const waiting: Saying[] = [];
  let isSending = false;

  const failed = (error: unknown): void => {
    const { reason, message } = error instanceof ApiFailure ? error : { reason: 'unexpected', message: String(error) };
    const advice =
      reason === 'forbidden' ? 'Allow create on events of events.k8s.io, and list on services, to the user that it names. ' : '';
    const text = `Cannot send Events: ${message}. ${advice}This log has their text`;
    problems.replace('Events', [{ id: reason, reason, message: text }]);
  };

  const send = async (saying: Saying): Promise<void> => {
    const backOff = createBackOff(times);
    for (let tries = 1; ; ) {
      try {
        await create(connection, nodeName, saying, signal);
        if (problems.replace('Events', [])) note('Events arrive at the API server again');
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof ApiFailure ? error.reason : undefined;
        if (reason !== 'unreachable' && (reason === undefined || !PASSING.includes(reason) || tries++ === MAX_TRIES)) return failed(error);
        await sleep(backOff.next(), undefined, { signal }).catch(() => {});
      }
    }
  };

  const sendAll = async (): Promise<void> => {
    isSending = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await send(next);
    } finally {
      isSending = false;
    }
  };

  return {
    record(event) {
      const { service = '', reason, note: text } = event;
      if (signal.aborted || waiting.length >= MAX_WAITING || !quota.admits(service, `${reason} ${text}`)) return;
      waiting.push({ ...event, at: new Date() });
      if (!isSending) void sendAll();
    },
    stop() {
      end.abort();
      waiting.length = 0;
      connection.close();
    },
  };
}

async function create(connection: Connection, nodeName: string, saying: Saying, signal: AbortSignal): Promise<void> {
  const node = { kind: 'Node', name: nodeName, uid: nodeName } as const;
  const regarding = saying.service === undefined ? node : await serviceReference(connection, saying.service, signal);
  if (regarding === undefined) return;
  const { path, event } = eventOf(saying, saying.at, nodeName, regarding);
  try {
    await connection.post(path, event, signal);
  } catch (error) {
    if (!(error instanceof ApiFailure && (error.reason === 'exists' || isOfEndingNamespace(error)))) throw error;
  }
}

/** Nothing can be made there any more (kubernetes, plugin/pkg/admission/namespace/lifecycle), nor is anybody going to look. */
const isOfEndingNamespace = ({ reason, message }: ApiFailure): boolean =>
  reason === 'forbidden' && message.includes('because it is being terminated');

/** Undefined if it is gone. Lists it, because kube-proxy's role (system:node-proxier) allows to list Services, but not to get one. */
async function serviceReference(connection: Connection, key: string, signal: AbortSignal): Promise<ObjectReference | undefined> {
  const [namespace = '', name = ''] = key.split('/');
  const query = new URLSearchParams({ fieldSelector: `metadata.name=${name}` });
  const body = await connection.get(`/api/v1/namespaces/${encodeURIComponent(namespace)}/services?${query}`, signal);
  const { items } = await pageOf(body, `List of Service ${key}`);
  const [service] = items;
  const uid = isFields(service) && isFields(service.metadata) ? service.metadata.uid : undefined;
  return typeof uid === 'string' ? { kind: 'Service', namespace, name, uid } : undefined;
}
