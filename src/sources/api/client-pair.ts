import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

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
