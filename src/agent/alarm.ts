import type { EventReason, EventRecorder } from '#events/event-recorder.ts';
import { type Facts, type Log, withFacts } from '#observe/log.ts';

/** Reports a problem in the log and as an Event. */
export interface Alarm {
  /** `service`: `namespace/name` of the Service that the problem concerns; undefined = this node. */
  warn(reason: EventReason, message: string, facts?: Facts, service?: string): void;
  error(reason: EventReason, message: string, facts?: Facts, service?: string): void;
}

/** The Event has the text of the log line. */
export function createAlarm(log: Log, events: EventRecorder): Alarm {
  const at =
    (level: 'warn' | 'error'): Alarm['warn'] =>
    (reason, message, facts, service) => {
      log[level](message, facts);
      events.record({ reason, note: withFacts(message, facts), service });
    };
  return { warn: at('warn'), error: at('error') };
}
