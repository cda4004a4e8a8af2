import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { textOf } from '../house/tree.ts';
import { allScenarios, type Coverage, coverageOf, idsInNames, rulesOf, tableOf, testsThatShow, upstreamTestsOf } from './coverage.ts';

const [RULES = ''] = textOf('docs/semantics.md').split('### Cases that say nothing');

function judge(t: TestContext, coverage: Coverage): void {
  t.diagnostic(`Coverage:\n${tableOf(coverage)}`);
  const uncovered = [...coverage.shown].filter(([, places]) => places.length === 0).map(([id]) => id);
  assert.deepEqual({ uncovered, unknown: coverage.unknown }, { uncovered: [], unknown: [] });
}

test('a scenario or a test covers every rule of docs/semantics.md', (t) => {
  const rules = rulesOf(RULES);
  const scenarios = allScenarios().map(({ name, covers }) => ({ name, shows: covers }));
  const tests = testsThatShow((source) => idsInNames(source, (id) => rules.includes(id)));
  assert.deepEqual(
    rules.filter((id, i) => rules.indexOf(id) < i),
    [],
    'rule ids are unique',
  );
  judge(t, coverageOf(rules, [...scenarios, ...tests]));
});

test('a scenario or a test covers every upstream unit test that docs/semantics.md names', (t) => {
  const named = upstreamTestsOf(RULES);
  const isNamed = (name: string): boolean => named.includes(name);
  const scenarios = allScenarios().map(({ name, upstream }) => ({ name, shows: upstream.filter(isNamed) }));
  judge(t, coverageOf(named, [...scenarios, ...testsThatShow((source) => upstreamTestsOf(source).filter(isNamed))]));
});

test('uncovered and unknown ids are found', () => {
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

test('ids are found in test names and in rows of tables', () => {
  const source = "test('drops [rule-one] [gone-rule]', () => {});\nconst rows = [['refuses [rule-two]'], ['list[index]']];\n";
  const isRule = (id: string): boolean => id.startsWith('rule-');
  assert.deepEqual(idsInNames(source, isRule), ['rule-one', 'gone-rule', 'rule-two']);
});
