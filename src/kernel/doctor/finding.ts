/** How good a thing is: as it should be; something works less well; something does not work. */
export type FindingStatus = 'fine' | 'degraded' | 'missing';

/** One thing that weir needs or that gets in its way, for `weir doctor`. */
export interface Finding {
  readonly name: string;
  readonly status: FindingStatus;
  /** The present state. */
  readonly detail: string;
  /** What follows; empty where nothing does. */
  readonly consequence: string;
  /** What to do; empty where there is nothing to do. */
  readonly remedy: string;
}

/** What follows and what to do, where a thing is not as it should be. */
export interface Trouble {
  readonly consequence: string;
  readonly remedy: string;
}

/** A thing that is as it should be. */
export const fine = (name: string, detail: string): Finding => ({ name, status: 'fine', detail, consequence: '', remedy: '' });

/** A thing without which something works less well, or may. */
export const degraded = (name: string, detail: string, trouble: Trouble): Finding => ({ name, status: 'degraded', detail, ...trouble });

/** A thing without which something does not work. */
export const missing = (name: string, detail: string, trouble: Trouble): Finding => ({ name, status: 'missing', detail, ...trouble });

/** Runs a probe; one that fails is a finding too. */
export function probed(name: string, trouble: Trouble, probe: () => Finding): Finding {
  try {
    return probe();
  } catch (error) {
    return missing(name, error instanceof Error ? error.message : String(error), trouble);
  }
}
