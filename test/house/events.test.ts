import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASONS } from '#events/event-recorder.ts';
import { textOf } from './tree.ts';

test('docs/events.md has a row for every reason of an Event, with its type, and for no other', () => {
  const rows = [...textOf('docs/events.md').matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(([, reason, type]) => `${reason} ${type}`);
  assert.deepEqual(
    rows.sort(),
    Object.entries(REASONS)
      .map(([reason, { type }]) => `${reason} ${type}`)
      .sort(),
  );
});

test('reasons are words that the API server takes', () => {
  for (const [reason, { action }] of Object.entries(REASONS)) assert.match(`${reason} ${action}`, /^([A-Z][a-z]+)+ ([A-Z][a-z]+)+$/);
});
