import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Makes certificates with openssl in a folder that goes after the tests. */
export interface Authority {
  readonly dir: string;
  readonly ca: string;
  /** `days` negative: expired. `names` as in subjectAltName. */
  issue(subject: string, names: string, days?: number): Pair;
}

/** A folder that goes after the tests. */
export function workFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-api-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** An authority of its own. */
export function createAuthority(): Authority {
  const dir = workFolder();
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test authority', '-days', '2');
  const read = (name: string): string => readFileSync(join(dir, name), 'utf8');
  return {
    dir,
    ca: read('ca.crt'),
    issue(subject, names, days = 1) {
      openssl('req', ...curve, '-keyout', 'one.key', '-out', 'one.csr', '-subj', subject);
      writeFileSync(join(dir, 'one.ext'), `subjectAltName=${names}\n`);
      const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'one.ext'];
      openssl('x509', '-req', '-in', 'one.csr', ...signed, '-days', String(days), '-out', 'one.crt');
      return { cert: read('one.crt'), key: read('one.key') };
    },
  };
}
