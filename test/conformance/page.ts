/** Verdicts as a Markdown page: pure. */
import type { Verdict, Verdicts } from './report.ts';

/** Why a test cannot pass on some machine, whatever the proxy, so where none passes it; the first expression that matches its name counts. */
const OUT_OF_REACH: readonly (readonly [RegExp, string])[] = [
  [/sctp|SCTP/, 'the kernel has no SCTP (CONFIG_IP_SCTP), so nothing can listen'],
];

const MARKS: Readonly<Record<Verdict['state'], string>> = { passed: 'passes', failed: '**fails**', skipped: 'skipped' };

/** The sums, then each test with the verdict of each proxy. */
export function pageOf(proxies: ReadonlyMap<string, Verdicts>): string {
  const names = [...new Set([...proxies.values()].flatMap((verdicts) => [...verdicts.keys()]))].sort();
  const columns = [...proxies.keys()];
  const rows = names.map((name) => {
    const cells = columns.map((proxy) => proxies.get(proxy)?.get(name));
    return `| ${[escaped(name), ...cells.map((cell) => (cell ? MARKS[cell.state] : '')), escaped(remark(name, cells))].join(' | ')} |`;
  });
  return [
    `| | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '--:|').join('')}`,
    ...(['passed', 'failed', 'skipped'] as const).map(
      (state) => `| ${state} | ${columns.map((proxy) => count(proxies.get(proxy), state)).join(' | ')} |`,
    ),
    '',
    `| Test | ${columns.join(' | ')} | Remark |`,
    `|---|${columns.map(() => '---|').join('')}---|`,
    ...rows,
    '',
  ].join('\n');
}

const count = (verdicts: Verdicts | undefined, state: Verdict['state']): number =>
  [...(verdicts?.values() ?? [])].filter((verdict) => verdict.state === state).length;

function remark(name: string, cells: readonly (Verdict | undefined)[]): string {
  const failed = cells.find((cell) => cell?.state === 'failed');
  if (failed) {
    const reasons = cells.some((cell) => cell?.state === 'passed') ? [] : OUT_OF_REACH;
    return reasons.find(([pattern]) => pattern.test(name))?.[1] ?? failed.message;
  }
  return cells.find((cell) => cell?.state === 'skipped')?.message ?? '';
}

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
