/** Reads and checks the PEM files of mutual TLS. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { failure, type Result, success } from '#lib/result.ts';
import type { TlsPair } from './call.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** The current content of the files; undefined without files, for plain text. Errors name the file and its problem. */
export function readTlsFiles(files: TlsFiles | undefined): Result<TlsPair | undefined> {
  if (files === undefined) return success(undefined);
  try {
    const read = (path: string): string => readFileSync(path, 'utf8');
    const pair = { cert: read(files.cert), key: read(files.key), ca: read(files.ca) };
    return whyUnusable(pair, files) ?? success(pair);
  } catch (error) {
    return failure(`Cannot read TLS files: ${(error as Error).message}`);
  }
}

function whyUnusable({ cert, key, ca }: TlsPair, files: TlsFiles): Result<never> | undefined {
  const reasonOf = (error: unknown): string => (error as Error).message.replace(/^error:.*::/, '');
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    return failure(`Cannot use certificate ${files.cert} with key ${files.key}: ${reasonOf(error)}`);
  }
  if (ca.includes('-----BEGIN CERTIFICATE-----')) return undefined;
  return failure(`Cannot use ${files.ca} as authority: it holds no certificate in PEM`);
}
