import { type Command, Option } from 'commander';
import type { Flag, Given, GivenSettings } from '#config/flags.ts';

/** The commander option of a flag. */
export function flagOption({ flags, help, repeatable, hidden }: Flag): Option {
  const made = new Option(flags, help).hideHelp(hidden);
  if (repeatable) made.argParser((value: string, all: string | undefined) => (all === undefined ? value : `${all},${value}`));
  // kube-proxy's flag library, pflag, accepts -v=2 for -v 2
  if (made.short) made.argParser((value: string) => value.replace(/^=/, ''));
  return made;
}

/** kube-proxy's flag library takes `--cluster_cidr` for `--cluster-cidr` (k8s.io/component-base/cli/flag, WordSepNormalizeFunc). */
export const withDashes = (argv: readonly string[]): string[] =>
  argv.map((word) => word.replace(/^--[a-z0-9_-]+/, (name) => name.replaceAll('_', '-')));

/** The flags of the command line. */
export function givenFlags(command: Command): GivenSettings {
  const values = Object.entries<unknown>(command.opts()).filter(([, value]) => value !== undefined);
  return new Map(
    values.map(([camel, value]): [string, Given] => {
      const name = camel.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      return [name, { text: String(value), from: `--${name}` }];
    }),
  );
}

/** Ends the command with exit code 2 and these errors. */
export function refuse(command: Command, errors: readonly string[]): void {
  command.error(errors.map((error) => `weir ${command.name()}: ${error}`).join('\n'));
}
