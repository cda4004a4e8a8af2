import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from './log.ts';

function lines(verbosity: number, use: (log: ReturnType<typeof createLog>) => void): string[] {
  const written: string[] = [];
  use(createLog(verbosity, (line) => written.push(line.replace(/^\S+ /, ''))));
  return written;
}

test('a line has a level, the message and its facts, quoted if they contain blanks', () => {
  assert.deepEqual(
    lines(0, (log) => log.warn('Cannot attach', { device: 'eth0', reason: 'no such device' })),
    ['WARN  Cannot attach device=eth0 reason="no such device"\n'],
  );
});

test('an error shows its cause and stays on one line', () => {
  const error = new Error('Cannot load', { cause: new Error('line one\nline two') });
  assert.deepEqual(
    lines(0, (log) => log.error('Failed', { error })),
    ['ERROR Failed error="Cannot load: line one\\nline two"\n'],
  );
});

test('control characters from a peer are escaped', () => {
  assert.deepEqual(
    lines(0, (log) => log.warn('said \x1b[2J\r\n')),
    ['WARN  said \\u001b[2J\\r\\n\n'],
  );
});

test('debug lines appear only from their verbosity on', () => {
  const say = (log: ReturnType<typeof createLog>): void => log.debug(2, 'Wrote');
  assert.deepEqual(lines(1, say), []);
  assert.deepEqual(lines(2, say), ['DEBUG Wrote\n']);
});
