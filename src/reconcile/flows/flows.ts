import { ADDRESS_NODE, type FrontendKey } from '#abi/generated.ts';
import { type Address, familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { type PortState, retiredText, type State } from '../tables/state.ts';
import type { Step } from '../tables/steps.ts';
import { frontendText } from '../wanted/keys.ts';
import type { WantedState } from '../wanted/wanted-state.ts';

const IPPROTO_UDP = 17;

/** Loopback addresses, where NodePorts answer processes of the node; the kernel treats the zero address as loopback. */
const LOOPBACK = /^(?:127\..*|::1|::|0\.0\.0\.0)$/;

/** How long a retired backend may take to answer, ms. */
const ANSWER_MS = 300;

/** An address and a UDP port. */
export interface UdpPlace {
  readonly address: Address;
  readonly port: number;
}

/** A translated UDP flow: a conntrack entry, or a connected socket. */
export interface UdpFlow {
  /** The client's destination. */
  readonly dialled: UdpPlace;
  /** The endpoint that gets the datagrams. */
  readonly answering: UdpPlace;
  /** Whether weir certainly translated it: a socket of its programs. Any program may have translated or marked a conntrack entry. */
  readonly isOurs: boolean;
}

/**
 * Why a flow must end. `endpoint_gone`: the Service port has other endpoints; `no_endpoint`: it has none; `service_gone`: no Service port owns
 * the flow's destination any more.
 */
export type StaleReason = 'endpoint_gone' | 'no_endpoint' | 'service_gone';

/** `foreign`: weir does not know the flow. */
export type FlowVerdict = StaleReason | 'live' | 'foreign';

/**
 * A flow lives while its backend is in either list of the Service port that owns the flow's destination, or serves unlisted; so a change of policy
 * ends no flow. The same holds for a flow that another program translated, such as kube-proxy before weir, if a frontend owns its
 * destination. A backend that was just retired may still answer earlier datagrams, and the client needs the flow to receive the answer.
 * `now` in ms.
 */
export function judgeFlow(
  state: State,
  wanted: Pick<WantedState, 'plan'>,
  { dialled, answering, isOurs }: UdpFlow,
  now: number,
): FlowVerdict {
  const owner = ownerOf(state, dialled);
  if (owner === undefined) return isOurs || wasWithdrawn(state, dialled, answering) ? 'service_gone' : 'foreign';
  const isAnswering = ({ address, port }: UdpPlace): boolean => port === answering.port && address === answering.address;
  if (owner.backends.some((backend) => isAnswering(backend) && backend.flags !== 0)) return 'live';
  if (wanted.plan(owner.identity)?.unlisted?.some(isAnswering)) return 'live';
  if (now - (state.retired.get(retiredText(owner, answering)) ?? Number.NEGATIVE_INFINITY) < ANSWER_MS) return 'live';
  return owner.backends.some(({ flags }) => flags !== 0) ? 'endpoint_gone' : 'no_endpoint';
}

/** Whether weir lately withdrew the frontend, or the NodePorts of the address, that led to this endpoint. */
function wasWithdrawn({ owners, withdrawn }: State, dialled: UdpPlace, answering: UdpPlace): boolean {
  const [own, nodePort] = frontendsAt(dialled).map(frontendText) as [string, string];
  const places = [withdrawn.frontends.get(own), withdrawn.frontends.get(nodePort)];
  if (withdrawn.nodeAddresses.has(dialled.address)) places.push(owners.get(nodePort)?.backends);
  return places.some((backends) => backends?.some(({ address, port }) => port === answering.port && address === answering.address));
}

/** Counts unlisted endpoints that no longer serve; the tables show the fate of listed ones. */
export function countUnlisted(before: PortPlan | undefined, after: PortPlan | undefined): number {
  const left = new Set([...(after?.unlisted ?? []), ...(after?.backends ?? [])].map(({ address, port }) => `${address} ${port}`));
  return (before?.unlisted ?? []).filter(({ address, port }) => !left.has(`${address} ${port}`)).length;
}

/** The Service port that answers at a place. NodePorts answer at addresses of the node alone. */
function ownerOf({ owners, addresses }: State, dialled: UdpPlace): PortState | undefined {
  const hasNodePorts = ((addresses.get(dialled.address) ?? 0) & ADDRESS_NODE) !== 0 || LOOPBACK.test(dialled.address);
  const [own, nodePort] = frontendsAt(dialled);
  return owners.get(frontendText(own)) ?? (hasNodePorts ? owners.get(frontendText(nodePort)) : undefined);
}

/** Keys of the frontends that may serve a place: its own, and the NodePort. */
export function frontendsAt({ address, port }: UdpPlace): readonly [own: FrontendKey, nodePort: FrontendKey] {
  const key = { address, port, protocol: IPPROTO_UDP };
  return [key, { ...key, address: ZERO_ADDRESS[familyOf(address)] }];
}

/** How many entries went that living UDP flows may still use. */
export interface UdpLosses {
  /** Backends that left both lists, and unlisted endpoints that no longer serve. */
  backends: number;
  /** Frontends that were withdrawn or moved to another Service port, and addresses that lost their NodePorts. */
  frontends: number;
}

/** Counts the losses of a step; call it before recordStep(). */
export function countLosses(losses: UdpLosses, { owners }: State, step: Step): void {
  if (step.kind === 'retire') losses.backends += Number(step.element.value.flags === 0 && mayBeUdp(step.port));
  if (step.kind === 'withdraw') losses.frontends += Number(step.element.protocol === IPPROTO_UDP);
  if (step.kind !== 'publish' || step.element.key.protocol !== IPPROTO_UDP) return;
  const owner = owners.get(frontendText(step.element.key));
  losses.frontends += Number(owner !== undefined && owner !== step.port);
}

/** The protocol ends the identity. An adopted port without a name may have any protocol. */
const mayBeUdp = ({ identity }: PortState): boolean => identity.endsWith(` ${IPPROTO_UDP}`) || identity.startsWith('#');
