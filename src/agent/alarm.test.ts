import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_EVENTS, type RecordedEvent } from '#events/event-recorder.ts';
import { createLog } from '#observe/log.ts';
import { createAlarm } from './alarm.ts';

test('a problem is logged and recorded as an Event, each with its facts', () => {
  const lines: string[] = [];
  const said: RecordedEvent[] = [];
  const log = createLog(0, (line) => lines.push(line.slice(line.indexOf(' ') + 1).trimEnd()));
  const alarm = createAlarm(log, { ...NO_EVENTS, record: (one) => said.push(one) });
  alarm.warn('HiddenProcesses', 'Cannot see processes', { processes: 3 });
  alarm.error('TableFull', 'Cannot program it', { error: new Error('full') }, 't/web');
  assert.deepEqual(lines, ['WARN  Cannot see processes processes=3', 'ERROR Cannot program it error=full']);
  assert.deepEqual(said, [
    { reason: 'HiddenProcesses', note: 'Cannot see processes processes=3', service: undefined },
    { reason: 'TableFull', note: 'Cannot program it error=full', service: 't/web' },
  ]);
});
