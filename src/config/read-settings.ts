import { type Address, formatPrefix, type Prefix, parseSloppyAddress, parseSloppyPrefix } from '#lib/address.ts';
import type { HostPort } from '#lib/host-port.ts';
import type { Given, GivenSettings } from './flags.ts';

/** Reads single settings and collects one sentence for each error. */
export interface SettingsReader {
  text(name: string): string | undefined;
  flag(name: string, fallback: boolean): boolean;
  /** The empty string counts as not set. */
  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T;
  number(name: string, fallback: number): number;
  /** Undefined if not set. */
  integer(name: string, least: number, most: number): number | undefined;
  /** A time such as 24h0m0s (Go's time.ParseDuration), in whole s. */
  seconds(name: string, fallback: number): number;
  /** Undefined if not set, or set to the empty string. */
  address(name: string): Address | undefined;
  /** One bit of 32; not one of kube-proxy's. */
  mark(name: string, fallback: number): number;
  /** Address and port to listen at; undefined if set to the empty string. An address alone gets `port`, by default that of `fallback`. */
  hostPort(name: string, fallback: string, port?: number): HostPort | undefined;
  list(name: string): readonly string[];
  prefixes(name: string): readonly Prefix[];
  /** Whether the setting is a flag of the command line. */
  isFlag(name: string): boolean;
  /** Adds the error `NAME is VALUE, must be SHOULD`. */
  reject(name: string, should: string): void;
  /** Adds another error: a whole sentence. */
  fail(message: string): void;
  readonly errors: readonly string[];
}

/** Marks of kube-proxy: KUBE-MARK-MASQ and KUBE-MARK-DROP. */
const TAKEN_MARKS = [0x4000, 0x8000];

/** A reader of settings. It never throws, see `errors`. */
export function readSettings(given: GivenSettings): SettingsReader {
  const errors: string[] = [];
  const reject = (name: string, should: string): void => {
    const { from, text } = given.get(name) ?? { from: `--${name}`, text: '' };
    errors.push(`${from} is "${text}", must be ${should}`);
  };
  const parsed = <T>(name: string, fallback: T, parse: (text: string) => T | undefined, should: string): T => {
    const { text } = given.get(name) ?? ({} as Partial<Given>);
    if (text === undefined) return fallback;
    const value = parse(text);
    if (value === undefined) reject(name, should);
    return value ?? fallback;
  };
  const hostPort = (name: string, fallback: string, port = Number(fallback.split(':').at(-1))): HostPort | undefined => {
    const text = given.get(name)?.text ?? fallback;
    const at = text === '' ? undefined : parseHostPort(text, port);
    if (text !== '' && at === undefined) reject(name, `an address and port such as ${fallback}, or empty`);
    return at;
  };
  const list = (name: string): readonly string[] => splitList(given.get(name)?.text ?? '');
  return {
    errors,
    reject,
    list,
    hostPort,
    isFlag: (name) => given.get(name)?.from.startsWith('--') === true,
    fail: (message) => void errors.push(message),
    text: (name) => given.get(name)?.text,
    flag: (name, fallback) => parsed(name, fallback, parseBoolean, 'true or false'),
    choice: (name, choices, fallback) =>
      parsed(name, fallback, (text) => (text === '' ? fallback : choices.find((choice) => choice === text)), choices.join(' or ')),
    number: (name, fallback) => parsed(name, fallback, parseWhole, 'a whole number'),
    integer: (name, least, most) =>
      parsed<number | undefined>(name, undefined, (text) => parseInteger(text, least, most), `a whole number from ${least} to ${most}`),
    seconds: (name, fallback) => parsed(name, fallback, parseDuration, 'a time such as 30s or 24h0m0s'),
    address: (name) =>
      given.get(name)?.text === ''
        ? undefined
        : parsed<Address | undefined>(name, undefined, parseSloppyAddress, 'an address such as 192.0.2.1'),
    mark: (name, fallback) => parsed(name, fallback, parseMark, 'one bit of 32, such as 0x2000, but not 0x4000 or 0x8000 (kube-proxy)'),
    prefixes: (name) => parsed(name, [], parsePrefixes, 'networks such as 10.244.0.0/16, comma separated'),
  };
}

/** Non-empty items of a comma-separated text, without blanks. */
export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** Go's strconv.ParseBool. */
const parseBoolean = (text: string): boolean | undefined =>
  /^(1|t|T|TRUE|true|True)$/.test(text) ? true : /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;

const parseWhole = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);

function parseInteger(text: string, least: number, most: number): number | undefined {
  const value = /^-?\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return undefined;
  return Math.floor(parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNIT_SECONDS[unit] ?? 0), 0));
}

function parseMark(text: string): number | undefined {
  const mark = /^(0x[0-9a-fA-F]{1,8}|\d{1,10})$/.test(text) ? Number(text) : 0;
  const isOneBit = mark > 0 && mark <= 0x80000000 && Number.isInteger(Math.log2(mark));
  return isOneBit && !TAKEN_MARKS.includes(mark) ? mark : undefined;
}

/** `192.0.2.1:80`, `[::]:80`, or an address alone (kube-proxy: IPPortVar, k8s.io/component-helpers). */
function parseHostPort(text: string, usual: number): HostPort | undefined {
  const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseSloppyAddress(bracketed ?? plain ?? text);
  const port = digits === undefined ? usual : Number(digits);
  return address === undefined || port < 1 || port > 65_535 ? undefined : { address, port };
}

/** Networks of a comma-separated text, each once; undefined if an item is not a network. */
export function parsePrefixes(text: string): readonly Prefix[] | undefined {
  const prefixes = splitList(text).map(parseSloppyPrefix);
  return prefixes.every((prefix) => prefix !== undefined) ? dedupe(prefixes) : undefined;
}

const dedupe = (prefixes: readonly Prefix[]): readonly Prefix[] => [
  ...new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix])).values(),
];
