import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActiveProblems } from './active-problems.ts';

const finding = (id: string, message = id) => ({ id, reason: 'conflict', message });

test('a problem is reported once while it is active, also when it is found twice at a time', () => {
  const told: string[] = [];
  const problems = createActiveProblems(({ message }) => told.push(message));
  problems.replace('tables', [finding('a'), finding('a'), finding('b')]);
  problems.replace('tables', [finding('a', 'a, 2 times'), finding('c')]);
  assert.deepEqual(told, ['a', 'b', 'c']);
});

test('a problem that was solved and comes back is reported again', () => {
  const told: string[] = [];
  const problems = createActiveProblems(({ message }) => told.push(message));
  assert.equal(problems.replace('tables', []), false);
  problems.replace('tables', [finding('a')]);
  assert.equal(problems.replace('tables', []), true);
  problems.replace('tables', [finding('a')]);
  assert.deepEqual(told, ['a', 'a']);
});
