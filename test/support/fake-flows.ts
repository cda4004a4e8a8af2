import type { UdpFlow } from '#reconcile/flows/flows.ts';
import type { Flows } from '#reconcile/ports/datapath.ts';

/** Flows in memory. */
export interface FakeFlows extends Flows {
  readonly flows: UdpFlow[];
  /** Flows that are gone by the time they are to be ended. */
  readonly vanishing: Set<UdpFlow>;
  /** The next walk fails after this many flows. */
  failsAfter: number | undefined;
  /** How many walks have begun. */
  walks: number;
}

/** These flows; no walk fails yet. */
export function createFakeFlows(flows: readonly UdpFlow[] = []): FakeFlows {
  const fake: FakeFlows = {
    flows: [...flows],
    vanishing: new Set(),
    failsAfter: undefined,
    walks: 0,
    async endStaleUdp(judge, ended, signal) {
      fake.walks++;
      let seen = 0;
      for (const flow of [...fake.flows]) {
        signal.throwIfAborted();
        if (fake.failsAfter === seen) {
          fake.failsAfter = undefined;
          throw new Error('Cannot list flows: the kernel is busy');
        }
        seen++;
        const reason = judge(flow);
        if (reason === undefined) continue;
        fake.flows.splice(fake.flows.indexOf(flow), 1);
        if (!fake.vanishing.has(flow)) ended(flow, reason);
      }
      return seen;
    },
    close() {},
  };
  return fake;
}
