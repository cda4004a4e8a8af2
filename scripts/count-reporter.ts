import type { TestEvent } from 'node:test/reporters';

/** Reporter for `node --test`: one line `passed failed skipped` for the whole run. Tests to do count as skipped, cancelled ones as failed. */
export default async function* countReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue;
    const { passed, failed, cancelled, skipped, todo } = event.data.counts as Record<string, number>;
    yield `${passed} ${(failed ?? 0) + (cancelled ?? 0)} ${(skipped ?? 0) + (todo ?? 0)}\n`;
  }
}
