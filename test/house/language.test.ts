import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REJECTED, rejectedTurns } from './language.ts';

test('comments, messages and documents have none of the turns that CONTRIBUTING.md rejects', () => {
  assert.deepEqual(
    rejectedTurns().map(({ path, line, text, instead }) => `${path}:${line}: ${text} (${instead})`),
    [],
  );
});

test('each rejected turn is found', () => {
  const samples = [
    'a table that nobody fills',
    'those that are new',
    'says what is wrong',
    'the agent is told of a change',
    'it hears of a change',
    'that is no error',
  ];
  assert.deepEqual(
    samples.map((sample) => REJECTED.filter(({ pattern }) => pattern.test(sample)).length > 0),
    samples.map(() => true),
  );
  const good = 'There is no table, an entry without a name has no owner, and the agent reports the reason';
  assert.ok(REJECTED.every(({ pattern }) => !pattern.test(good)));
});
