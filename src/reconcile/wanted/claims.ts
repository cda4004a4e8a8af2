import type { FrontendKey } from '#abi/generated.ts';
import { frontendName } from '#lib/frontend-name.ts';
import type { PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import { frontendKeys, frontendText, identityOf } from './keys.ts';

/** Which of a plan's frontends its Service port owns. */
export interface FrontendShare {
  readonly won: readonly PlannedFrontend[];
  /** The others, with the plan that owns each. */
  readonly lost: readonly { readonly frontend: FrontendKey; readonly winner: PortPlan | undefined }[];
}

/**
 * Decides which Service port owns a frontend that several claim: the Service whose ClusterIP it is, else the oldest Service, else the first by
 * name.
 */
export interface Claims {
  /** Replaces the claims of a Service port; returns the identities of all Service ports whose frontends may have changed. */
  replace(before: PortPlan | undefined, after: PortPlan | undefined): ReadonlySet<string>;
  /** The plan that owns a frontend. */
  winner(frontend: FrontendKey): PortPlan | undefined;
  /** See WantedState. */
  share(plan: PortPlan): FrontendShare;
}

/** No claims. The cost of a change depends on the plans that change. */
export function createClaims(): Claims {
  /** By frontendText(): the plans that claim it, the winner first. */
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
    share(plan) {
      const won = new Map<string, PlannedFrontend>();
      const lost: FrontendShare['lost'][number][] = [];
      frontendKeys(plan, plan.frontends).forEach((frontend, i) => {
        const owner = winner(frontendText(frontend));
        if (owner === plan) won.set(frontendText(frontend), plan.frontends[i] as PlannedFrontend);
        else lost.push({ frontend, winner: owner });
      });
      return { won: [...won.values()], lost };
    },
  };
}

/** The sentence that names the loser and the owner of a frontend, and the rule that decided. */
export function lossMessage(frontend: FrontendKey, loser: PortPlan, winner: PortPlan | undefined): string {
  const isOwn = winner !== undefined && isClusterIP(winner, frontendText(frontend)) && !isClusterIP(loser, frontendText(frontend));
  const isOlder = winner !== undefined && birth(winner) !== birth(loser);
  const why = isOwn ? 'it is its ClusterIP' : isOlder ? 'it is older' : 'their ages are equal and its name comes first';
  return `Cannot give ${frontendName(frontend)} to Service "${loser.name}": Service "${winner?.name}" keeps it, because ${why}`;
}

const claimedTexts = (plan: PortPlan): string[] => frontendKeys(plan, plan.frontends).map(frontendText);

/** A Service cannot take another Service's ClusterIP by naming it as an external address (CVE-2020-8554). */
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
