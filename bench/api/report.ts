import { row } from '../page.ts';
import { spread } from '../report.ts';
import type { Change, Measured } from './measure.ts';
import type { Size } from './objects.ts';

const HEAD = ['', 'measured', 'target', 'kube-proxy, given'];

/** The measurements as a Markdown table. The figures of kube-proxy are given, not measured here: nftables mode, in such a lab on such a machine. */
export function report(measured: Measured, small: Size): string {
  const { lists, listBytes, starts, restarts, idle, busy, memory } = measured;
  const list = spread(lists).median;
  const rows = [
    [`Lists alone: the API server hands over ${(listBytes / 1e6).toFixed(0)} MB`, times(lists), '', ''],
    ['Start, until all Services answer', besides(list, starts), 'at most 2 s besides', '22.6 s'],
    ['Restart, until a change made meanwhile is in force', bold(restarts.map(({ inForce }) => inForce)), 'at most 1 s', '44.8 s'],
    ['Restart, until everything has been compared', times(restarts.map(({ compared }) => compared)), '', ''],
    ...changeRows('One endpoint is changed', idle, '236 ms'),
    ...changeRows('the same, among 20 other changes a second', busy, '1.1 s median, 3.4 s p99'),
    ['Memory at rest', megabytes(memory.rest), 'at most 200 MB', '295 MB'],
    ['Memory at most', megabytes(memory.peak), '', ''],
    [
      `Memory at rest with ${small.services} Services and ${small.services * small.endpoints} endpoints`,
      megabytes(memory.small),
      'less than 80 MB',
      '',
    ],
  ];
  return [row(HEAD), row(['---', '--:', '--:', '--:']), ...rows.map(row)].join('\n');
}

const changeRows = (name: string, changes: readonly Change[], given: string): string[][] => [
  [`${name}, since it was accepted`, percentiles(changes.map(({ fromAccepted }) => fromAccepted)), 'p99 at most 10 ms', given],
  [`${name}, since it was sent`, percentiles(changes.map(({ fromSent }) => fromSent)), '', ''],
];

function percentiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string => `${sorted[Math.ceil(part * sorted.length) - 1]?.toFixed(1)} ms`;
  return `median ${at(0.5)}, p99 **${at(0.99)}**, highest ${at(1)}`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

function times(ms: readonly number[]): string {
  const { min, median, max } = spread(ms);
  return `${seconds(median)} (${seconds(min)} to ${seconds(max)})`;
}

const bold = (ms: readonly number[]): string => times(ms).replace(/^\S+ s/, '**$&**');

/** Times, and how much longer that is than the lists alone take. */
const besides = (list: number, ms: readonly number[]): string => `${times(ms)}: **${seconds(spread(ms).median - list)}** besides the lists`;

const megabytes = (count: number): string => `${Math.round(count)} MB`;
