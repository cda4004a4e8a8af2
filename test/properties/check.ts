import assert from 'node:assert/strict';
import fc from 'fast-check';

/** Number of runs of a property: WEIR_RUNS, else `runs`. */
const runsOf = (runs: number): number => Number(process.env.WEIR_RUNS ?? runs);

/** Details of a failed check. */
type Failed<T> = Pick<
  fc.RunDetails<[T]>,
  'failed' | 'counterexample' | 'errorInstance' | 'numRuns' | 'numShrinks' | 'seed' | 'counterexamplePath'
>;

/** Checks a property. Reports a counterexample as the lines of `describe`, with the seed and path that reproduce it. */
export function check<T>(property: fc.IProperty<[T]>, runs: number, describe: (counterexample: T) => readonly string[]): void {
  report(fc.check(property, parameters(runs)), describe);
}

/** Checks an asynchronous property. */
export async function checkAsync<T>(
  property: fc.IAsyncProperty<[T]>,
  runs: number,
  describe: (counterexample: T) => readonly string[],
): Promise<void> {
  report(await fc.check(property, parameters(runs)), describe);
}

function parameters<T>(runs: number): fc.Parameters<[T]> {
  const { WEIR_SEED: seed, WEIR_PATH: path } = process.env;
  const again = { ...(seed === undefined ? {} : { seed: Number(seed) }), ...(path === undefined ? {} : { path, endOnFailure: true }) };
  return { numRuns: runsOf(runs), ...again };
}

function report<T>(found: Failed<T>, describe: (counterexample: T) => readonly string[]): void {
  if (!found.failed) return;
  const lines = found.counterexample === null ? ['(none)'] : describe(found.counterexample[0]);
  const reason = found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance);
  assert.fail(
    [
      `After ${found.numRuns} runs and ${found.numShrinks} shrinks (WEIR_SEED=${found.seed} WEIR_PATH=${found.counterexamplePath}):`,
      ...lines.map((line) => `  ${line}`),
      reason,
    ].join('\n'),
  );
}
