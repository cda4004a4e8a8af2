import { createHash } from 'node:crypto';
import { REASONS, type RecordedEvent } from './event-recorder.ts';

/** An object that an Event is about (core/v1, ObjectReference). */
export interface ObjectReference {
  readonly kind: 'Service' | 'Node';
  readonly namespace?: string;
  readonly name: string;
  /** `kubectl describe` shows Events with the object's uid, and for a Node also Events with its name as uid, like kube-proxy's. */
  readonly uid: string;
}

/** Bounds of the API server, bytes (kubernetes, pkg/apis/core/validation/events.go). */
const NOTE_BYTES = 1024;
const INSTANCE_BYTES = 128;

/** What sent it, in `kubectl describe` under From. */
const CONTROLLER = 'weir';

/**
 * An Event (events.k8s.io/v1), and where it is created. The name follows from the content: one that arrives twice, or from every node
 * where one does for all, exists already.
 */
export function eventOf({ reason, note }: RecordedEvent, at: Date, nodeName: string, regarding: ObjectReference) {
  const { type, action, everywhere } = { everywhere: false, ...REASONS[reason] };
  const namespace = regarding.namespace ?? 'default';
  const said = regarding.kind === 'Node' || everywhere ? note : `Node ${nodeName}: ${note}`;
  const once = everywhere ? [] : [nodeName, at.getTime()];
  const digest = createHash('sha256').update(JSON.stringify([regarding, reason, said, ...once]));
  const event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${CONTROLLER}.${digest.digest('hex').slice(0, 32)}`, namespace },
    // A MicroTime has six digits
    eventTime: at.toISOString().replace('Z', '000Z'),
    reportingController: CONTROLLER,
    reportingInstance: nodeName.slice(0, INSTANCE_BYTES),
    regarding: { apiVersion: 'v1', ...regarding },
    ...{ type, action, reason, note: clipBytes(said, NOTE_BYTES) },
  };
  return { path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, event };
}

function clipBytes(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(limit - 3));
  return `${text.slice(0, read)}...`;
}
