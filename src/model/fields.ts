/** A JSON object as the API prints it. */
export type Fields = Readonly<Record<string, unknown>>;

/** Errors and warnings of one object so far. */
export interface ObjectReport {
  /** Name of the object in messages, for example `Service shop/cart`. */
  readonly subject: string;
  readonly errors: string[];
  /** Parts that are left out of a valid object. */
  readonly warnings: string[];
}

/** A JSON object with its path inside the outermost object, such as `spec.ports[1]`; the outermost has an empty path. */
export interface LocatedFields {
  readonly report: ObjectReport;
  readonly path: string;
  readonly fields: Fields;
}

const NO_FIELDS: Fields = Object.freeze({});
const NO_ITEMS: readonly never[] = Object.freeze([]);

/** Adds an error: the value at `key`, and the valid values. */
export function wrong(place: LocatedFields, key: string, value: unknown, shouldBe: string): void {
  place.report.errors.push(`${place.report.subject}: ${pathOf(place, key)} is ${show(value)}, must be ${shouldBe}`);
}

/** Adds a warning about `key`; `remark` follows the path, for example `has no address and is left out`. */
export function warn(place: LocatedFields, key: string, remark: string): void {
  place.report.warnings.push(`${place.report.subject}: ${pathOf(place, key)} ${remark}`);
}

/** The object at `key`; empty if absent. */
export function child(place: LocatedFields, key: string): LocatedFields {
  return { report: place.report, path: pathOf(place, key), fields: fieldsAt(place, key, place.fields[key]) };
}

/** The objects of the list at `key`. */
export function children(place: LocatedFields, key: string): readonly LocatedFields[] {
  return items(place, key).map((item, i) => {
    const at = `${key}[${i}]`;
    return { report: place.report, path: pathOf(place, at), fields: fieldsAt(place, at, item) };
  });
}

/** The strings of the list at `key`, in its order. Another value adds an error and becomes the empty string. */
export function texts(place: LocatedFields, key: string): readonly string[] {
  return items(place, key).map((item, i) => textOf(place, `${key}[${i}]`, item));
}

/** The string at `key`; empty if absent. */
export const text = (place: LocatedFields, key: string): string => textOf(place, key, place.fields[key]);

/** One of `choices`. An absent or empty value gives the fallback; without a fallback it adds an error and gives the first choice. */
export function choice<T extends string>(place: LocatedFields, key: string, choices: readonly [T, ...T[]], fallback?: T): T {
  const value = place.fields[key];
  if ((isAbsent(value) || value === '') && fallback !== undefined) return fallback;
  const found = choices.find((one) => one === value);
  if (found === undefined) wrong(place, key, value, enumerate(choices));
  return found ?? choices[0];
}

/** A whole number from `min` to `max`. An absent value gives the fallback; without a fallback it adds an error and gives `min`. */
export function integer(place: LocatedFields, key: string, min: number, max: number, fallback?: number): number {
  const value = place.fields[key];
  if (isAbsent(value) && fallback !== undefined) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  wrong(place, key, value, `${min} to ${max}`);
  return min;
}

/** True or false; the fallback if absent. */
export function flag(place: LocatedFields, key: string, fallback: boolean): boolean {
  const value = place.fields[key];
  if (isAbsent(value)) return fallback;
  if (typeof value === 'boolean') return value;
  wrong(place, key, value, 'true or false');
  return fallback;
}

/** A value as error messages show it. */
export function show(value: unknown): string {
  if (isAbsent(value)) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return clip(typeof value === 'string' ? JSON.stringify(value) : String(value));
}

/** The text, cut to `length` characters. */
export const clip = (text: string, length = 80): string => (text.length > length ? `${text.slice(0, length - 3)}...` : text);

/** Kubernetes prints null for an unset field, or omits it. */
export const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;

/** A JSON object, neither null nor a list. */
export const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const pathOf = (place: LocatedFields, key: string): string => (place.path === '' ? key : `${place.path}.${key}`);

function items(place: LocatedFields, key: string): readonly unknown[] {
  const value = place.fields[key];
  if (Array.isArray(value)) return value;
  if (!isAbsent(value)) wrong(place, key, value, 'a list');
  return NO_ITEMS;
}

function fieldsAt(place: LocatedFields, key: string, value: unknown): Fields {
  if (isFields(value)) return value;
  if (!isAbsent(value)) wrong(place, key, value, 'an object');
  return NO_FIELDS;
}

function textOf(place: LocatedFields, key: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isAbsent(value)) wrong(place, key, value, 'a string');
  return '';
}

const enumerate = (words: readonly string[]): string =>
  words.length === 1 ? `${words[0]}` : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`;
