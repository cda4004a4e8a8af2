import type { Alarm } from './alarm.ts';

/** Table inet weir of this network namespace. */
export interface NodeRuleset {
  install(): void;
  isThere(): boolean;
}

/** Restores the table when another process removes it. */
export interface RulesetGuard {
  /** Starts to check the table. */
  start(): void;
  stop(): void;
}

/** Interval between checks, ms: how long packets may stay untranslated. */
const LOOK_MS = 1000;

/**
 * Without the table the kernel translates nothing. A restart of nftables.service removes it: `nft flush ruleset` is the first line of Debian's
 * /etc/nftables.conf.
 */
export function createRulesetGuard(ruleset: NodeRuleset, alarm: Alarm, lookMs = LOOK_MS): RulesetGuard {
  let timer: NodeJS.Timeout | undefined;
  let reported: string | undefined;

  const look = (): void => {
    try {
      if (ruleset.isThere()) return;
      ruleset.install();
      reported = undefined;
      alarm.warn(
        'RulesetRemoved',
        'Another process removed table inet weir, as "nft flush ruleset" does; restored it. Meanwhile no packet was translated',
      );
    } catch (error) {
      if (reported !== String(error)) alarm.error('FailedToProgram', 'Cannot restore table inet weir, trying again', { error });
      reported = String(error);
    }
  };

  return {
    start() {
      timer ??= setInterval(look, lookMs);
    },
    stop: () => clearInterval(timer),
  };
}
