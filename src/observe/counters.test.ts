import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounters } from './counters.ts';

test('counts are kept for each name and label', () => {
  const counters = createCounters();
  counters.increment('source_problems', 'parse');
  counters.increment('source_problems', 'parse');
  counters.increment('source_problems', 'duplicate');
  assert.deepEqual(counters.totals(), { 'source_problems.parse': 2, 'source_problems.duplicate': 1 });
});
