/** What a pure function returns when its input may be wrong: the value, or one sentence for each thing that is. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errors: readonly string[] };

/** A value that is right. */
export const success = <T>(value: T): Result<T> => ({ ok: true, value });

/** What is wrong, one sentence each. */
export const failure = (...errors: readonly string[]): Result<never> => ({ ok: false, errors });
