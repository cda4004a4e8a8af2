import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStanding } from './standing.ts';

const finding = (id: string, message = id) => ({ id, reason: 'conflict', message });

test('a problem is told once while it stands, also when it is found twice at a time', () => {
  const told: string[] = [];
  const standing = createStanding(({ message }) => told.push(message));
  standing.replace('tables', [finding('a'), finding('a'), finding('b')]);
  standing.replace('tables', [finding('a', 'a, 2 times'), finding('c')]);
  assert.deepEqual(told, ['a', 'b', 'c']);
});

test('a problem that was solved and comes back is told again', () => {
  const told: string[] = [];
  const standing = createStanding(({ message }) => told.push(message));
  assert.equal(standing.replace('tables', []), false);
  standing.replace('tables', [finding('a')]);
  assert.equal(standing.replace('tables', []), true);
  standing.replace('tables', [finding('a')]);
  assert.deepEqual(told, ['a', 'a']);
});
