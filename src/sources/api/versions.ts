/** Whether resource version `a` is older than `b`. They are growing numbers (KEP-5504), too large for arithmetic; other texts are not compared. */
export const isOlder = (a: string, b: string): boolean =>
  /^\d+$/.test(a) && /^\d+$/.test(b) && (a.length === b.length ? a < b : a.length < b.length);

/** Undefined where there is none. */
export const newestOf = (versions: readonly string[]): string | undefined =>
  versions.reduce<string | undefined>(
    (newest, version) => (newest === undefined || isOlder(newest, version) ? version : newest),
    undefined,
  );
