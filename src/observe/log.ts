/** Facts of a message, as KEY=VALUE; an Error shows its message and causes. */
export type Facts = Readonly<Record<string, unknown>>;

/** Lines for an operator: `2026-11-23T04:12:01.123Z INFO  Attached the packet program device=eth0`. */
export interface Log {
  info(message: string, facts?: Facts): void;
  warn(message: string, facts?: Facts): void;
  error(message: string, facts?: Facts): void;
  /** Logged only from this verbosity on: 2 = table writes and attached programs. */
  debug(verbosity: number, message: string, facts?: Facts): void;
}

/** `write` gets whole lines, with line feed. */
export function createLog(verbosity: number, write: (line: string) => void = (line) => process.stderr.write(line)): Log {
  const say = (level: string, message: string, facts?: Facts): void =>
    write(`${new Date().toISOString()} ${level.padEnd(5)} ${withFacts(message, facts)}\n`);
  return {
    info: (message, facts) => say('INFO', message, facts),
    warn: (message, facts) => say('WARN', message, facts),
    error: (message, facts) => say('ERROR', message, facts),
    debug(from, message, facts) {
      if (verbosity >= from) say('DEBUG', message, facts);
    },
  };
}

/** One line: a message and its facts. */
export const withFacts = (message: string, facts: Facts = {}): string =>
  [oneLine(message), ...Object.entries(facts).map(([key, value]) => `${key}=${factText(value)}`)].join(' ');

function factText(value: unknown): string {
  const text = value instanceof Error ? errorText(value) : String(value);
  return /[\s"=]/.test(text) || text === '' ? JSON.stringify(text) : text;
}

/** Messages of an error and of its causes. */
export const errorText = (error: Error): string =>
  error.cause instanceof Error ? `${error.message}: ${errorText(error.cause)}` : error.message;

const oneLine = (text: string): string => text.replaceAll(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));
