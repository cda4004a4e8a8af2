import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { textOf } from '../house/tree.ts';
import { allScenarios, type Coverage, coverageOf, idsInNames, rulesOf, tableOf, testsThatShow, upstreamTestsOf } from './coverage.ts';

const [RULES = ''] = textOf('docs/semantics.md').split('### Cases that say nothing');

function judge(t: TestContext, coverage: Coverage): void {
  t.diagnostic(`What shows what:\n${tableOf(coverage)}`);
  const uncovered = [...coverage.shown].filter(([, places]) => places.length === 0).map(([id]) => id);
  assert.deepEqual({ uncovered, unknown: coverage.unknown }, { uncovered: [], unknown: [] });
}

test('every rule of docs/semantics.md is shown by a scenario or a test', (t) => {
  const rules = rulesOf(RULES);
  const scenarios = allScenarios().map(({ name, covers }) => ({ name, shows: covers }));
  const tests = testsThatShow((source) => idsInNames(source, (id) => rules.includes(id)));
  assert.deepEqual(
    rules.filter((id, i) => rules.indexOf(id) < i),
    [],
    'ids stand for one rule each',
  );
  judge(t, coverageOf(rules, [...scenarios, ...tests]));
});

test("every unit test of upstream's that docs/semantics.md names has a scenario or a test", (t) => {
  const named = upstreamTestsOf(RULES);
  const isNamed = (name: string): boolean => named.includes(name);
  const scenarios = allScenarios().map(({ name, upstream }) => ({ name, shows: upstream.filter(isNamed) }));
  judge(t, coverageOf(named, [...scenarios, ...testsThatShow((source) => upstreamTestsOf(source).filter(isNamed))]));
});

test('what nobody shows, and what does not exist, is found', () => {
  const coverage = coverageOf(['one', 'two'], [{ name: 'a', shows: ['one', 'three'] }]);
  assert.deepEqual(
    [...coverage.shown],
    [
      ['one', ['a']],
      ['two', []],
    ],
  );
  assert.deepEqual(coverage.unknown, ['a: three']);
  assert.equal(tableOf(coverage), 'one  a\ntwo  -');
});

test('ids are found in names of tests and in rows of tables', () => {
  const source = "test('drops [rule-one] [gone-rule]', () => {});\nconst rows = [['refuses [rule-two]'], ['list[index]']];\n";
  const isRule = (id: string): boolean => id.startsWith('rule-');
  assert.deepEqual(idsInNames(source, isRule), ['rule-one', 'gone-rule', 'rule-two']);
});
