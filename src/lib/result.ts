/** Result of a pure function whose input may be wrong: the value, or one sentence for each error. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errors: readonly string[] };

/** A successful result. */
export const success = <T>(value: T): Result<T> => ({ ok: true, value });

/** A failed result: one sentence for each error. */
export const failure = (...errors: readonly string[]): Result<never> => ({ ok: false, errors });
