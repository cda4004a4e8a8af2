import { type Finding, fine, missing } from './finding.ts';
import { probeKernel } from './probe-kernel.ts';
import { probeLeftovers } from './probe-leftovers.ts';
import { probeNeighbours } from './probe-neighbours.ts';
import { probeNode } from './probe-node.ts';
import { probeRuleset } from './probe-ruleset.ts';

export type { Finding, FindingStatus } from './finding.ts';

/** What this node has of the things that weir needs, in the thread's network namespace. Changes nothing. */
export function probe(node: { readonly cgroupRoot: string | undefined; readonly stateDir: string }): Finding[] {
  if (process.geteuid?.() !== 0)
    return [
      missing('privileges', 'not root', { consequence: 'neither can the agent start nor this be answered', remedy: 'run it as root' }),
    ];
  return [
    fine('privileges', 'root'),
    ...probeKernel(),
    ...probeNode(node),
    ...probeNeighbours(node),
    ...probeLeftovers(),
    ...probeRuleset(),
  ];
}
