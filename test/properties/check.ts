import assert from 'node:assert/strict';
import fc from 'fast-check';

/** How often a property is asked: `runs`, or what WEIR_RUNS says. */
const runsOf = (runs: number): number => Number(process.env.WEIR_RUNS ?? runs);

/** What a failed check says of itself. */
type Failed<T> = Pick<
  fc.RunDetails<[T]>,
  'failed' | 'counterexample' | 'errorInstance' | 'numRuns' | 'numShrinks' | 'seed' | 'counterexamplePath'
>;

/** Asks a property; a counterexample is shown as lines that `describe` makes of it, with the seed and path that bring it back. */
export function check<T>(property: fc.IProperty<[T]>, runs: number, describe: (counterexample: T) => readonly string[]): void {
  tell(fc.check(property, parameters(runs)), describe);
}

/** The same for a property that takes its time. */
export async function checkAsync<T>(
  property: fc.IAsyncProperty<[T]>,
  runs: number,
  describe: (counterexample: T) => readonly string[],
): Promise<void> {
  tell(await fc.check(property, parameters(runs)), describe);
}

function parameters<T>(runs: number): fc.Parameters<[T]> {
  const { WEIR_SEED: seed, WEIR_PATH: path } = process.env;
  const again = { ...(seed === undefined ? {} : { seed: Number(seed) }), ...(path === undefined ? {} : { path, endOnFailure: true }) };
  return { numRuns: runsOf(runs), ...again };
}

function tell<T>(found: Failed<T>, describe: (counterexample: T) => readonly string[]): void {
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
