import type { Announcer, Reason } from '#events/announcer.ts';
import { type Facts, type Log, withFacts } from '#observe/log.ts';

/** Tells trouble to those who read the log, and as an Event to those who look at objects. */
export interface Alarm {
  /** `service`: `namespace/name` of what it is about; without, this node. */
  warn(reason: Reason, message: string, facts?: Facts, service?: string): void;
  error(reason: Reason, message: string, facts?: Facts, service?: string): void;
}

/** The Event says what the log says. */
export function createAlarm(log: Log, announcer: Announcer): Alarm {
  const at =
    (level: 'warn' | 'error'): Alarm['warn'] =>
    (reason, message, facts, service) => {
      log[level](message, facts);
      announcer.say({ reason, note: withFacts(message, facts), service });
    };
  return { warn: at('warn'), error: at('error') };
}
