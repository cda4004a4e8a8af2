import type { FrontendKey } from '#abi/generated.ts';
import type { PlannedFrontend, PortPlan } from '#plan/port-plan.ts';

/** Holder of the node's own tables and sets. Every other holder is the identity of a Service port. */
export const NODE = 'node';

/** One Service port in one family and one protocol: what a service id stands for. */
export const portIdentity = (name: string, family: number, protocol: number): string => `${name} ${family} ${protocol}`;

/** portIdentity() of a plan. */
export const identityOf = (plan: PortPlan): string => portIdentity(plan.name, plan.family, plan.protocol);

/** Text of a frontend's key, for maps. */
export const frontendText = (key: FrontendKey): string => `${key.address} ${key.port} ${key.protocol}`;

/** Keys of some of a plan's frontends. */
export const frontendKeys = (plan: PortPlan, frontends: readonly PlannedFrontend[]): FrontendKey[] =>
  frontends.map(({ address, port }) => ({ address, port, protocol: plan.protocol }));

/** A holder for messages: its Service port, undefined for the node, and a noun phrase. */
export interface Subject {
  /** `namespace/name:port`. */
  readonly port: string | undefined;
  readonly words: string;
}

/** The subject of a holder. `wordsForNode` names the node's part of what a writer writes. */
export function subjectOf(holder: string, wordsForNode: string): Subject {
  if (holder === NODE) return { port: undefined, words: wordsForNode };
  const [, port = holder, family] = /^(.*) (\d+) \d+$/.exec(holder) ?? [];
  return { port, words: `Service "${port}"${family === undefined ? '' : ` over IPv${family}`}` };
}

/** `namespace/name` of the Service that a holder belongs to. */
export const serviceOf = (holder: string): string => holder.replace(/[: ].*/, '');
