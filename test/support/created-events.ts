import type { IncomingMessage, ServerResponse } from 'node:http';
import { text as textOf } from 'node:stream/consumers';

/** An Event as it was created. */
export interface ApiEvent {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly eventTime: string;
  readonly regarding: Readonly<Record<'kind' | 'namespace' | 'name' | 'uid', string | undefined>>;
  readonly type: string;
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
}

const PATH = /^\/apis\/events\.k8s\.io\/v1\/namespaces\/([^/]+)\/events$/;
const BOUNDS = { reason: 128, action: 128, reportingInstance: 128, note: 1024 } as const;

/** Events of a test server, refused for what an API server refuses (kubernetes, pkg/apis/core/validation/events.go). */
export class TestEvents {
  readonly created: ApiEvent[] = [];

  /** Answers a request that posts one. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const status = this.#take(request, JSON.parse(await textOf(request)));
    const body = status === 201 ? { kind: 'Event' } : { kind: 'Status', code: status, message: 'no Event was created' };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  #take({ url = '', headers }: IncomingMessage, event: ApiEvent): number {
    const namespace = PATH.exec(url)?.[1];
    if (namespace === undefined) return 404;
    if (headers['content-type'] !== 'application/json') return 415;
    if (!isValid(event, namespace)) return 422;
    if (this.created.some(({ metadata }) => metadata.name === event.metadata.name && metadata.namespace === namespace)) return 409;
    this.created.push(event);
    return 201;
  }
}

function isValid(event: ApiEvent, namespace: string): boolean {
  const home = event.regarding.namespace ?? 'default';
  return (
    event.metadata.namespace === namespace &&
    home === namespace &&
    /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(event.metadata.name) &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(event.eventTime) &&
    ['Normal', 'Warning'].includes(event.type) &&
    /^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$/.test(event.reportingController) &&
    event.reason.length * event.action.length * event.reportingInstance.length > 0 &&
    Object.entries(BOUNDS).every(([field, bound]) => Buffer.byteLength(event[field as keyof typeof BOUNDS]) <= bound)
  );
}
