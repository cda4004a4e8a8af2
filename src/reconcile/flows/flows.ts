import { ADDRESS_NODE, type FrontendKey } from '#abi/generated.ts';
import { type Address, familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { type PortState, retiredText, type State } from '../tables/state.ts';
import type { Step } from '../tables/steps.ts';
import { frontendText } from '../wanted/keys.ts';
import type { WantedState } from '../wanted/wanted-state.ts';

const IPPROTO_UDP = 17;

/** Where NodePorts answer a process of the node; the kernel takes the zero address for loopback, too. */
const LOOPBACK = /^(?:127\..*|::1|::|0\.0\.0\.0)$/;

/** An answer may take this long. */
const ANSWER_MS = 300;

/** An address and a UDP port. */
export interface UdpPlace {
  readonly address: Address;
  readonly port: number;
}

/** A UDP flow that somebody translated: a conntrack entry, or a connected socket. */
export interface UdpFlow {
  /** What the client sends to. */
  readonly dialled: UdpPlace;
  /** Where that really goes. */
  readonly answering: UdpPlace;
  /** weir translated it: an entry carries its mark. */
  readonly isOurs: boolean;
}

/**
 * Why a flow must end: `endpoint_gone`: others answer for the Service port; `no_endpoint`: nobody does; `service_gone`: what it dialled is
 * no Service port's any more.
 */
export type StaleReason = 'endpoint_gone' | 'no_endpoint' | 'service_gone';

/** `foreign`: nothing that weir knows about. */
export type FlowVerdict = StaleReason | 'live' | 'foreign';

/**
 * A flow lives while its backend is in either list of the Service port that owns what it dialled, or serves without being listed: a change of
 * policy ends none. One that somebody else translated, as kube-proxy before weir, is judged alike where a frontend owns what it dialled:
 * nobody else would end it. A backend that has just gone may still answer what was sent to it: without the flow nobody would get the answer.
 * `now` in ms.
 */
export function judgeFlow(
  state: State,
  wanted: Pick<WantedState, 'plan'>,
  { dialled, answering, isOurs }: UdpFlow,
  now: number,
): FlowVerdict {
  const owner = ownerOf(state, dialled);
  if (owner === undefined) return isOurs ? 'service_gone' : 'foreign';
  const isAnswering = ({ address, port }: UdpPlace): boolean => port === answering.port && address === answering.address;
  if (owner.backends.some((backend) => isAnswering(backend) && backend.flags !== 0)) return 'live';
  if (wanted.plan(owner.identity)?.unlisted?.some(isAnswering)) return 'live';
  if (now - (state.retired.get(retiredText(owner, answering)) ?? Number.NEGATIVE_INFINITY) < ANSWER_MS) return 'live';
  return owner.backends.some(({ flags }) => flags !== 0) ? 'endpoint_gone' : 'no_endpoint';
}

/** How many endpoints that were not listed serve no more; what becomes of a listed one shows in the tables. */
export function countUnlisted(before: PortPlan | undefined, after: PortPlan | undefined): number {
  const left = new Set([...(after?.unlisted ?? []), ...(after?.backends ?? [])].map(({ address, port }) => `${address} ${port}`));
  return (before?.unlisted ?? []).filter(({ address, port }) => !left.has(`${address} ${port}`)).length;
}

/** The Service port that answers at a place; NodePorts only at addresses that have them. */
function ownerOf({ owners, addresses }: State, dialled: UdpPlace): PortState | undefined {
  const hasNodePorts = ((addresses.get(dialled.address) ?? 0) & ADDRESS_NODE) !== 0 || LOOPBACK.test(dialled.address);
  const [own, nodePort] = frontendsAt(dialled);
  return owners.get(frontendText(own)) ?? (hasNodePorts ? owners.get(frontendText(nodePort)) : undefined);
}

/** Keys of the frontends that may be meant by a place: its own, and the NodePort. */
export function frontendsAt({ address, port }: UdpPlace): readonly [own: FrontendKey, nodePort: FrontendKey] {
  const key = { address, port, protocol: IPPROTO_UDP };
  return [key, { ...key, address: ZERO_ADDRESS[familyOf(address)] }];
}

/** How much went that living UDP flows may still use. */
export interface UdpLosses {
  /** Backends that went out of both lists, and endpoints that were in none and serve no more. */
  backends: number;
  /** Frontends that were withdrawn or given to another Service port, and addresses that lost the NodePorts. */
  frontends: number;
}

/** Counts what a step takes from UDP flows; to be asked before the step is recorded. */
export function countLosses(losses: UdpLosses, { owners }: State, step: Step): void {
  if (step.kind === 'retire') losses.backends += Number(step.element.value.flags === 0 && mayBeUdp(step.port));
  if (step.kind === 'withdraw') losses.frontends += Number(step.element.protocol === IPPROTO_UDP);
  if (step.kind !== 'publish' || step.element.key.protocol !== IPPROTO_UDP) return;
  const owner = owners.get(frontendText(step.element.key));
  losses.frontends += Number(owner !== undefined && owner !== step.port);
}

/** The protocol ends the identity; what was found without a name may be of any. */
const mayBeUdp = ({ identity }: PortState): boolean => identity.endsWith(` ${IPPROTO_UDP}`) || identity.startsWith('#');
