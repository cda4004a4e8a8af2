import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageOf } from './page.ts';
import { verdictsOf } from './report.ts';

const spec = (text: string, state: string, message?: string, type = 'It') => ({
  ContainerHierarchyTexts: ['[sig-network] Services'],
  LeafNodeType: type,
  LeafNodeText: text,
  State: state,
  ...(message === undefined ? {} : { Failure: { Message: message } }),
});

const REPORT = [
  {
    SpecReports: [
      spec('b passes', 'passed'),
      spec('a fails', 'failed', 'not | reachable\nmore'),
      spec('c hangs', 'timedout', 'too late'),
      spec('d wants a cloud', 'skipped', 'only for gce'),
      spec('e was not chosen', 'skipped'),
      spec('not a test', 'failed', 'x', 'ReportAfterSuite'),
    ],
  },
];

test('the page has verdicts of the chosen tests only', () => {
  assert.deepEqual(
    [...verdictsOf(REPORT)].map(([name, { state, message }]) => [name, state, message]),
    [
      ['Services a fails', 'failed', 'not | reachable'],
      ['Services b passes', 'passed', ''],
      ['Services c hangs', 'failed', 'too late'],
      ['Services d wants a cloud', 'skipped', 'only for gce'],
    ],
  );
});

test('a page has the sums, a row for each test of either proxy, and why one does not pass', () => {
  const verdicts = verdictsOf(REPORT);
  const other = new Map([...verdicts].filter(([name]) => name !== 'Services b passes'));
  const lines = pageOf(
    new Map([
      ['weir', verdicts],
      ['kube-proxy', other],
    ]),
  ).split('\n');
  assert.ok(lines.includes('| passed | 1 | 0 |') && lines.includes('| failed | 2 | 2 |') && lines.includes('| skipped | 1 | 1 |'));
  assert.ok(lines.includes('| Services a fails | **fails** | **fails** | not \\| reachable |'));
  assert.ok(lines.includes('| Services b passes | passes |  |  |'));
  assert.ok(lines.includes('| Services d wants a cloud | skipped | skipped | only for gce |'));
});

test('what no proxy can pass has its reason; where one passes, another says itself why it does not', () => {
  const [failed, passed] = ['failed', 'passed'].map((state) =>
    verdictsOf([{ SpecReports: [spec('works over SCTP', state, 'timed out')] }]),
  );
  const page = (...verdicts: (typeof failed)[]) => pageOf(new Map(verdicts.map((each, i) => [`proxy ${i}`, each ?? new Map()])));
  assert.match(page(failed, failed), /no SCTP \(CONFIG_IP_SCTP\)/);
  assert.match(page(failed, passed), /timed out/);
  assert.doesNotMatch(page(failed, passed), /CONFIG_IP_SCTP/);
});
