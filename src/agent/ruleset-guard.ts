import type { Alarm } from './alarm.ts';

/** Table inet weir of this network namespace. */
export interface NodeRuleset {
  install(): void;
  isThere(): boolean;
}

/** Keeps the table in place, whoever removes it. */
export interface RulesetGuard {
  /** Looks after the table from now on. */
  start(): void;
  stop(): void;
}

/** Time in which packets may go untranslated, ms. */
const LOOK_MS = 1000;

/**
 * Without the table nothing is translated, and others do remove it: `nft flush ruleset` is the first line of Debian's /etc/nftables.conf,
 * so a restart of nftables.service is enough.
 */
export function createRulesetGuard(ruleset: NodeRuleset, alarm: Alarm, lookMs = LOOK_MS): RulesetGuard {
  let timer: NodeJS.Timeout | undefined;
  let told: string | undefined;

  const look = (): void => {
    try {
      if (ruleset.isThere()) return;
      ruleset.install();
      told = undefined;
      alarm.warn(
        'RulesetRemoved',
        'Table inet weir was gone, as after "nft flush ruleset", and is back: meanwhile no packet was translated',
      );
    } catch (error) {
      if (told !== String(error)) alarm.error('FailedToProgram', 'Cannot look after table inet weir, trying again', { error });
      told = String(error);
    }
  };

  return {
    start() {
      timer ??= setInterval(look, lookMs);
    },
    stop: () => clearInterval(timer),
  };
}
