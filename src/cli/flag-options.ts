import { type Command, Option } from 'commander';
import type { Flag, Given, GivenSettings } from '#config/flags.ts';

/** A flag as commander takes it. */
export function flagOption({ flags, help, repeatable }: Flag): Option {
  const made = new Option(flags, help);
  if (repeatable) made.argParser((value: string, all: string | undefined) => (all === undefined ? value : `${all},${value}`));
  // pflag, which kube-proxy uses, takes -v=2 for -v 2
  if (made.short) made.argParser((value: string) => value.replace(/^=/, ''));
  return made;
}

/** The flags that were given. */
export function givenFlags(command: Command): GivenSettings {
  const values = Object.entries<unknown>(command.opts()).filter(([, value]) => value !== undefined);
  return new Map(
    values.map(([camel, value]): [string, Given] => {
      const name = camel.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      return [name, { text: String(value), from: `--${name}` }];
    }),
  );
}

/** Ends with what is wrong with what was given. */
export function refuse(command: Command, errors: readonly string[]): void {
  command.error(errors.map((error) => `weir ${command.name()}: ${error}`).join('\n'));
}
