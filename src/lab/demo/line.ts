import { hostPort } from '#lib/host-port.ts';
import type { Lab } from '../lab.ts';
import type { Seen, Target } from '../probe.ts';
import { OUTSIDE } from '../topology.ts';

/** What the lines need of a lab. */
export type DemoLab = Pick<Lab, 'dial' | 'topology'>;

/** The expectation of a line: which server should answer and which client it should see, or that none should. */
export type Expectation = { readonly answeredBy: readonly string[]; readonly client: string } | 'refused' | 'dropped';

/** One path through the cluster. */
export interface Path {
  readonly section: string;
  readonly from: string;
  /** The destination, in the words of the cluster. */
  readonly to: string;
  readonly target: Target;
  readonly expected: Expectation;
}

/** A line of the table, judged. */
export interface Line {
  readonly section: string;
  readonly path: string;
  readonly expected: string;
  readonly seen: string;
  readonly ms?: number;
  readonly right: boolean;
  /** As it should be, but too late. */
  readonly late?: boolean;
}

/** An answer may take this long before a path counts as dropped, and this long where it should be. */
const ANSWER_MS = 3000;
const DROP_MS = 400;

/** A refusal that takes longer is a time-out in disguise. */
const REFUSAL_MS = 200;

/** Dials along a path and judges what came. */
export async function tryPath(lab: DemoLab, path: Path): Promise<Line> {
  const timeoutMs = path.expected === 'dropped' ? DROP_MS : ANSWER_MS;
  const seen = await lab.dial(path.from, { ...path.target, timeoutMs });
  const { protocol, address } = path.target;
  return {
    section: path.section,
    path: `${shortName(lab, path.from)} → ${path.to} ${protocol.toUpperCase()} ${address.includes(':') ? 'v6' : 'v4'}`,
    expected: expectedText(lab, path.expected),
    seen: seenText(lab, seen, path.target),
    ...(seen.outcome !== 'timeout' && { ms: seen.ms }),
    right: isRight(seen, path),
  };
}

function isRight(seen: Seen, { expected, target }: Path): boolean {
  if (expected === 'dropped') return seen.outcome === 'timeout';
  if (expected === 'refused') return seen.outcome === 'refused' && seen.ms < REFUSAL_MS;
  return (
    seen.outcome === 'answered' &&
    expected.answeredBy.includes(seen.answeredBy) &&
    hostOf(seen.client) === expected.client &&
    seen.peer === hostPort(target.address, target.port)
  );
}

function expectedText(lab: DemoLab, expected: Expectation): string {
  if (typeof expected === 'string') return expected;
  const [first = '', ...others] = expected.answeredBy.map((name) => shortName(lab, name));
  return `${others.length > 0 ? first.replace(/\/.*/, '') : first} sees ${expected.client}`;
}

function seenText(lab: DemoLab, seen: Seen, target: Target): string {
  if (seen.outcome === 'timeout') return 'dropped';
  if (seen.outcome === 'failed') return seen.code;
  if (seen.outcome !== 'answered') return seen.outcome;
  const peer = seen.peer === hostPort(target.address, target.port) ? '' : `, peer is ${seen.peer}`;
  return `${shortName(lab, seen.answeredBy)} sees ${hostOf(seen.client)}${peer}`;
}

const hostOf = (text: string): string => text.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');

/** `cart/n1` for `shop/cart-775d56f696-kmclr` on n1; other names are short already. */
export function shortName(lab: DemoLab, name: string): string {
  const pod = lab.topology.pods.find((candidate) => candidate.name === name);
  const base = name.replace(/^.*\//, '').replace(/(-[0-9a-f]{8,10})?-[a-z0-9]{5}$/, '');
  return pod && pod.node !== OUTSIDE ? `${base}/${pod.node}` : name;
}
