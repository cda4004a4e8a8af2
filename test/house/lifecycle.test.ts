import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextPass, PHASES, type Phase, phaseAfter, SOURCE_STATES } from '#agent/lifecycle.ts';
import { textOf } from './tree.ts';

/** Rows of the table in ARCHITECTURE.md: phases, earlier tables, source, Node known, next pass. */
function rows(): readonly (readonly string[])[] {
  const [, section = ''] = textOf('ARCHITECTURE.md').split('### Life of an agent');
  const lines = section.split('\n').filter((line) => line.startsWith('| '));
  const untilEnd = lines.slice(1, lines.findIndex((line) => line.startsWith('| complete |')) + 1);
  return untilEnd.map((line) =>
    line
      .split('|')
      .slice(1, 6)
      .map((cell) => cell.trim()),
  );
}

const fits = (cell: string | undefined, value: string): boolean => cell === 'any' || cell?.split(', ').includes(value) === true;
const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

const COMBINATIONS = PHASES.flatMap((phase) =>
  [false, true].flatMap((hasEarlierTables) =>
    SOURCE_STATES.flatMap((source) => [false, true].map((hasNode) => ({ phase, hasEarlierTables, source, hasNode }))),
  ),
);

test("ARCHITECTURE.md's table of the phases is what nextPass does", () => {
  const table = rows();
  const used = new Set<number>();
  for (const { phase, ...knowledge } of COMBINATIONS) {
    const { hasEarlierTables, source, hasNode } = knowledge;
    const values = [phase, yesNo(hasEarlierTables), source, yesNo(hasNode)];
    const row = table.findIndex((cells) => values.every((value, i) => fits(cells[i], value)));
    used.add(row);
    assert.equal(nextPass(phase, knowledge), table[row]?.[4], values.join(' '));
  }
  assert.equal(used.size, table.length, 'every row is used');
  assert.ok(table.length >= 8, `saw ${table.length} rows`);
});

test('an agent that knows more and more comes to an end of its phases, and never goes back', () => {
  for (const hasEarlierTables of [false, true]) {
    let phase: Phase = 'starting';
    for (const source of SOURCE_STATES)
      for (let round = 0; round < 4; round++) {
        const next = phaseAfter(phase, nextPass(phase, { hasEarlierTables, source, hasNode: source === 'complete' }));
        assert.ok(PHASES.indexOf(next) >= PHASES.indexOf(phase), `${phase} to ${next}`);
        phase = next;
      }
    assert.equal(phase, 'complete');
  }
});

test('nothing is removed before the source is complete, and nothing is written before it is synced', () => {
  for (const { phase, ...knowledge } of COMBINATIONS) {
    const pass = nextPass(phase, knowledge);
    if (knowledge.source !== 'complete') assert.notEqual(pass, 'prune');
    if (knowledge.source === 'silent' || knowledge.source === 'listing') assert.ok(pass === 'wait' || pass === 'adopt');
    if (phase === 'starting' && knowledge.hasEarlierTables) assert.ok(pass === 'wait' || pass === 'adopt');
  }
});
