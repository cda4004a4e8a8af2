/** The process that dials on behalf of a place: requests come as lines of JSON on standard input, replies go to standard output. */
import { createInterface } from 'node:readline';
import type { CommandName, Commands, Reply, Request } from './probe.ts';
import { dial, exchange } from './probe-dial.ts';
import { hold, load } from './probe-load.ts';

type Run = { [C in CommandName]: (input: Commands[C]['input'], stop: AbortSignal) => Promise<Commands[C]['output']> };

const RUN: Run = { dial, exchange, load, hold };

const running = new Map<number, AbortController>();

async function obey(request: Request): Promise<void> {
  if ('stop' in request) return running.get(request.stop)?.abort();
  const stop = new AbortController();
  running.set(request.id, stop);
  const run = RUN[request.command] as (input: unknown, stop: AbortSignal) => Promise<Commands[CommandName]['output']>;
  try {
    say({ id: request.id, output: await run(request.input, stop.signal) });
  } catch (error) {
    say({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
  running.delete(request.id);
}

const say = (reply: Reply): boolean => process.stdout.write(`${JSON.stringify(reply)}\n`);

createInterface({ input: process.stdin })
  .on('line', (line) => obey(JSON.parse(line)))
  .on('close', () => process.exit(0));
