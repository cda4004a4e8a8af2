import type { Group, Path, Sample } from './cluster.ts';
import { row } from './page.ts';

/** Samples of one path under one workload, one per round. */
export interface Series {
  readonly path: Path;
  readonly samples: readonly Sample[];
}

/** The series of a group under one workload, in the order of its paths. */
export interface Comparison {
  readonly group: Group;
  readonly workload: string;
  readonly series: readonly Series[];
}

/** Seconds of processor time for a request. */
const cost = ({ requests, processorSeconds }: Sample): number => processorSeconds / requests;

const rate = ({ requests, seconds }: Sample): number => requests / seconds;

/** Lowest, middle and highest. */
export function spread(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { min: at(0), median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, max: at(sorted.length - 1) };
}

/** The comparisons as Markdown tables, one for each group. Ratios are of one round: a disturbance affects both sides. */
export function report(comparisons: readonly Comparison[]): string {
  return [...Map.groupBy(comparisons, ({ group }) => group)].map(([group, ofGroup]) => table(group, ofGroup)).join('\n\n');
}

function table(group: Group, comparisons: readonly Comparison[]): string {
  const rows = comparisons.flatMap(({ workload, series: [base, ...others] }) => {
    if (base === undefined) return [];
    return [baseRow(workload, base), ...others.map((series) => comparedRow(series, base))];
  });
  const head = ['Requests', 'Path', 'per second', 'ratio', 'lowest to highest', 'µs of CPU', 'ratio', 'errors'];
  return [`### ${capital(group.name)}`, '', row(head), row(head.map((_, i) => (i < 2 ? '---' : '--:'))), ...rows].join('\n');
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const baseRow = (workload: string, { path, samples }: Series): string =>
  row([workload, path.name, perSecond(samples), '1', '', microseconds(samples), '1', errorsOf(samples)]);

function comparedRow({ path, samples }: Series, base: Series): string {
  const ratios = (measure: (sample: Sample) => number): number[] =>
    samples.flatMap((sample, i) => {
      const other = base.samples[i];
      return other === undefined ? [] : [measure(sample) / measure(other)];
    });
  const { min, median, max } = spread(ratios(rate));
  const range = `${min.toFixed(2)} to ${max.toFixed(2)}`;
  const costs = spread(ratios(cost)).median.toFixed(2);
  return row(['', path.name, perSecond(samples), `**${median.toFixed(2)}**`, range, microseconds(samples), costs, errorsOf(samples)]);
}

const perSecond = (samples: readonly Sample[]): string => Math.round(spread(samples.map(rate)).median).toLocaleString('en');

const microseconds = (samples: readonly Sample[]): string => (spread(samples.map(cost)).median * 1e6).toFixed(1);

const errorsOf = (samples: readonly Sample[]): string => `${samples.reduce((sum, { errors }) => sum + errors, 0)}`;
