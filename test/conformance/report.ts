/** Ginkgo's JSON report (`github.com/onsi/ginkgo/v2/types.Report`), as far as verdicts need it: pure. */

interface Spec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly Failure?: { readonly Message?: string };
}

/** A report holds one suite. */
export type Report = readonly { readonly SpecReports: readonly Spec[] }[];

/** What became of a test, and what it said if it did not pass. */
export interface Verdict {
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly message: string;
}

/** Test name -> verdict, in the order of names. */
export type Verdicts = ReadonlyMap<string, Verdict>;

const states: Readonly<Record<string, Verdict['state']>> = { passed: 'passed', skipped: 'skipped', pending: 'skipped' };

/** Verdicts of the tests that were chosen; others are skipped without a message. */
export function verdictsOf(report: Report): Verdicts {
  const chosen = report
    .flatMap((suite) => suite.SpecReports)
    .filter(({ LeafNodeType, State, Failure }) => LeafNodeType === 'It' && (State !== 'skipped' || Failure?.Message));
  return new Map(chosen.map((spec) => [nameOf(spec), verdictOf(spec)] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const nameOf = ({ ContainerHierarchyTexts, LeafNodeText }: Spec): string =>
  [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' ').replace('[sig-network] ', '');

const verdictOf = ({ State, Failure }: Spec): Verdict => ({
  state: states[State] ?? 'failed',
  message: Failure?.Message?.split('\n')[0]?.trim() ?? '',
});
