import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type LocatedFields, text, wrong } from '#model/fields.ts';
import { describeFileError } from '../file-error.ts';

/** Adds an error that does not show the value: it may be a secret. */
export function refuse(place: LocatedFields, key: string, remark: string): void {
  place.report.errors.push(`${place.report.subject}: ${place.path}.${key} ${remark}`);
}

/** The file that `key` names, relative to `folder`; undefined where it names none, or with an error where it cannot be read. */
export function readNamedFile(place: LocatedFields, key: string, folder: string): string | undefined {
  const name = text(place, key);
  if (name === '') return undefined;
  try {
    return readFileSync(resolve(folder, name), 'utf8');
  } catch (error) {
    wrong(place, key, name, `a file that can be read (${describeFileError(error)})`);
    return undefined;
  }
}

/** PEM of the certificates at `key` (a file) or `key`-data (base64), which wins. */
export const readCertificate = (place: LocatedFields, key: string, folder: string): string | undefined =>
  readPem(place, key, folder, 'a certificate in PEM', (pem) => new X509Certificate(pem));

/** PEM of the private key at `key` or `key`-data. */
export const readKey = (place: LocatedFields, key: string, folder: string): string | undefined =>
  readPem(place, key, folder, 'a private key in PEM without a passphrase', createPrivateKey);

function readPem(place: LocatedFields, key: string, folder: string, what: string, parse: (pem: string) => unknown): string | undefined {
  const inline = text(place, `${key}-data`);
  const pem = inline === '' ? readNamedFile(place, key, folder) : Buffer.from(inline, 'base64').toString();
  if (pem === undefined) return undefined;
  try {
    parse(pem);
    return pem;
  } catch {
    if (inline === '') wrong(place, key, text(place, key), `a file with ${what}`);
    else refuse(place, `${key}-data`, `should be ${what}, in base64`);
    return undefined;
  }
}

/** Why TLS does not take a client certificate and its key, both PEM; undefined if it does. */
export function whyUnusable(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^error:.*::/, '');
  }
}

/** Whose it is, and until when it is valid: the usual reason why a server stops to take one. */
export function describeCertificate(pem: string): string {
  const { subject, validTo } = new X509Certificate(pem);
  return `${subject.replaceAll('\n', ', ')}, valid until ${validTo}`;
}
