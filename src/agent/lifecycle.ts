/** How far this agent has brought the kernel. Phases come in this order; an agent without an earlier one skips `adopted` and `updated`. */
export const PHASES = ['starting', 'adopted', 'updated', 'serving', 'complete'] as const;

/**
 * `starting`: the agent has not looked at the tables. `adopted`: it has read what an earlier agent left. `updated`: Services that have changed
 * since the earlier agent's journal are written. `serving`: all Services that the source delivered are written, and programs are attached.
 * `complete`: nothing is left in the kernel that the source does not have.
 */
export type Phase = (typeof PHASES)[number];

/** What the source has delivered, in this order. */
export const SOURCE_STATES = ['silent', 'listing', 'synced', 'complete'] as const;

/**
 * `silent`: no object. `listing`: the first object. `synced`: every object that the source can read now. `complete`: an object that is missing
 * does not exist.
 */
export type SourceState = (typeof SOURCE_STATES)[number];

/** What the agent knows besides its phase. */
export interface Knowledge {
  /** An earlier agent left tables of this layout. */
  readonly hasEarlierTables: boolean;
  readonly source: SourceState;
  /** The source has delivered the Node object of this node. */
  readonly hasNode: boolean;
}

/**
 * What the agent does next. `wait`: nothing until the source delivers. `await-node`: the same, because an earlier agent knew the Node. `adopt`:
 * reads the tables. `delta`: writes the Services that have changed since the journal. `flush`: writes every change and removes nothing that an
 * earlier agent left. `prune`: writes every change and removes left-over entries.
 */
export type Pass = 'wait' | 'await-node' | 'adopt' | 'delta' | 'flush' | 'prune';

/** The table "Life of an agent" in ARCHITECTURE.md shows this function. */
export function nextPass(phase: Phase, { hasEarlierTables, source, hasNode }: Knowledge): Pass {
  if (source === 'silent') return 'wait';
  if (phase === 'starting' && hasEarlierTables) return 'adopt';
  if (source === 'listing') return 'wait';
  if (phase === 'complete') return 'flush';
  if (phase !== 'serving' && hasEarlierTables && source !== 'complete' && !hasNode) return 'await-node';
  if (phase === 'adopted') return 'delta';
  return source === 'complete' ? 'prune' : 'flush';
}

/** The phase once a pass has succeeded; a pass that fails changes nothing. */
export function phaseAfter(phase: Phase, pass: Pass): Phase {
  switch (pass) {
    case 'adopt':
      return 'adopted';
    case 'delta':
      return 'updated';
    case 'flush':
      return phase === 'complete' ? phase : 'serving';
    case 'prune':
      return 'complete';
    default:
      return phase;
  }
}

/** Whether programs are attached: the kernel holds every Service that the source delivered. */
export const isServing = (phase: Phase): boolean => phase === 'serving' || phase === 'complete';
