import type { FrontendKey } from '#abi/generated.ts';
import { ZERO_ADDRESS } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { frontendText, portIdentity } from '../tables/state.ts';
import { frontendKeys } from '../tables/steps.ts';

/** Who wants which frontend. A ClusterIP is its Service's, else the older Service keeps one that several want; equal ages go by name. */
export interface Claims {
  /** Replaces what a Service port wants; returns the identities of all whose frontends may be others now. */
  replace(before: PortPlan | undefined, after: PortPlan | undefined): ReadonlySet<string>;
  /** The plan that a frontend belongs to. */
  winner(frontend: FrontendKey): PortPlan | undefined;
}

/** portIdentity() of a plan. */
export const identityOf = (plan: PortPlan): string => portIdentity(plan.name, plan.family, plan.protocol);

/** Claims of nobody yet; the cost of a change goes with the plans that change. */
export function createClaims(): Claims {
  /** Claimants of each frontend, the winner first. */
  const claimants = new Map<string, PortPlan[]>();
  const winner = (text: string): PortPlan | undefined => claimants.get(text)?.[0];

  const drop = (text: string, plan: PortPlan): void => {
    const left = (claimants.get(text) ?? []).filter((other) => other !== plan);
    if (left.length === 0) claimants.delete(text);
    else claimants.set(text, left);
  };
  const add = (text: string, plan: PortPlan): void => {
    const others = claimants.get(text);
    if (others === undefined) claimants.set(text, [plan]);
    else if (!others.includes(plan)) claimants.set(text, [...others, plan].sort(byClaim(text)));
  };

  return {
    replace(before, after) {
      const affected = new Set<string>();
      const old = before === undefined ? [] : claimedTexts(before);
      const fresh = after === undefined ? [] : claimedTexts(after);
      const touched = new Map([...old, ...fresh].map((text) => [text, winner(text)]));
      if (before !== undefined) for (const text of old) drop(text, before);
      if (after !== undefined) for (const text of fresh) add(text, after);
      for (const [text, held] of touched) {
        if (winner(text) !== held) for (const plan of claimants.get(text) ?? []) affected.add(identityOf(plan));
      }
      return affected;
    },
    winner: (frontend) => winner(frontendText(frontend)),
  };
}

/** `10.0.0.1:80/TCP`, `[fd00::1]:53/UDP`, `NodePort 30080/TCP`. */
export function frontendName({ address, port, protocol }: FrontendKey): string {
  const transport = `${port}/${{ 6: 'TCP', 17: 'UDP', 132: 'SCTP' }[protocol] ?? protocol}`;
  if (address === ZERO_ADDRESS[4] || address === ZERO_ADDRESS[6]) return `NodePort ${transport}`;
  return address.includes(':') ? `[${address}]:${transport}` : `${address}:${transport}`;
}

/** Who keeps a frontend from whom, and what decided. */
export function lossMessage(frontend: FrontendKey, loser: PortPlan, winner: PortPlan | undefined): string {
  const isOwn = winner !== undefined && isClusterIP(winner, frontendText(frontend)) && !isClusterIP(loser, frontendText(frontend));
  const isOlder = winner !== undefined && birth(winner) !== birth(loser);
  const why = isOwn ? 'it is its ClusterIP' : isOlder ? 'it is older' : 'their ages are equal and its name comes first';
  return `Cannot give ${frontendName(frontend)} to Service "${loser.name}": Service "${winner?.name}" keeps it, because ${why}`;
}

const claimedTexts = (plan: PortPlan): string[] => frontendKeys(plan, plan.frontends).map(frontendText);

/** Nobody takes another Service's ClusterIP by naming it as an external address (CVE-2020-8554). */
const byClaim =
  (frontend: string) =>
  (a: PortPlan, b: PortPlan): number =>
    Number(isClusterIP(b, frontend)) - Number(isClusterIP(a, frontend)) || birth(a) - birth(b) || (a.name < b.name ? -1 : 1);

const isClusterIP = ({ clusterIPs }: PortPlan, frontend: string): boolean =>
  clusterIPs.some((address) => frontend.startsWith(`${address} `));

const YOUNGEST = Number.MAX_SAFE_INTEGER;

function birth({ createdAt }: PortPlan): number {
  const time = Date.parse(createdAt);
  return Number.isNaN(time) ? YOUNGEST : time;
}
