import { execFile } from 'node:child_process';
import { type Fields, isFields } from '#model/fields.ts';
import { describeFileError } from '../file-error.ts';
import { ApiFailure } from './api-failure.ts';
import { whyUnusable } from './credential-files.ts';
import type { ExecPlugin, Identity } from './credentials.ts';

/** Credentials of plugins, kept until they expire. */
export interface PluginCredentials {
  of(plugin: ExecPlugin): Promise<Identity>;
  /** The server did not take them: ask again. */
  forget(): void;
}

interface Kept {
  readonly asked: string;
  readonly identity: Promise<Identity>;
  /** By `now`. */
  until: number;
}

/** `now` must not jump with the clock. */
export function createPluginCredentials(now: () => number = () => performance.now()): PluginCredentials {
  let kept: Kept | undefined;

  const ask = (asked: string, plugin: ExecPlugin): Promise<Identity> => {
    const running: Promise<Identity> = run(plugin).then(({ identity, validMs }) => {
      if (kept?.identity === running) kept.until = now() + validMs;
      return identity;
    });
    kept = { asked, identity: running, until: Number.POSITIVE_INFINITY };
    running.catch(() => {
      if (kept?.identity === running) kept = undefined;
    });
    return running;
  };

  return {
    of(plugin) {
      const asked = JSON.stringify(plugin);
      return kept !== undefined && kept.asked === asked && now() < kept.until ? kept.identity : ask(asked, plugin);
    },
    forget() {
      kept = undefined;
    },
  };
}

const MAX_RUN_MS = 60_000;

async function run(plugin: ExecPlugin): Promise<{ identity: Identity; validMs: number }> {
  const output = await outputOf(plugin);
  const credential = parse(output);
  if (credential?.kind !== 'ExecCredential' || credential.apiVersion !== plugin.apiVersion) {
    throw failed(
      plugin,
      `printed ${credential === undefined ? 'no JSON' : `${credential.apiVersion} ${credential.kind}`}, must print ${plugin.apiVersion} ExecCredential`,
    );
  }
  return readStatus(plugin, isFields(credential.status) ? credential.status : {});
}

function readStatus(plugin: ExecPlugin, status: Fields): { identity: Identity; validMs: number } {
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = status;
  const hasToken = typeof token === 'string' && token !== '';
  const hasPair = typeof cert === 'string' && typeof key === 'string';
  if (!hasToken && !hasPair) throw failed(plugin, 'printed neither status.token nor status.clientCertificateData with its clientKeyData');
  const why = hasPair ? whyUnusable(cert, key) : undefined;
  if (why !== undefined) throw failed(plugin, `printed a client certificate and key that cannot be used: ${why}`);
  const expires = typeof expirationTimestamp === 'string' ? Date.parse(expirationTimestamp) : Number.POSITIVE_INFINITY;
  if (Number.isNaN(expires))
    throw failed(plugin, `printed status.expirationTimestamp "${expirationTimestamp}", must be a time such as 2026-01-31T12:00:00Z`);
  const identity = {
    described: plugin.subject,
    ...(hasToken && { authorization: `Bearer ${token}` }),
    ...(hasPair && { cert, key }),
  };
  return { identity, validMs: expires - Date.now() };
}

function outputOf(plugin: ExecPlugin): Promise<string> {
  const { apiVersion, command, args, installHint } = plugin;
  const spec = { interactive: false, ...(plugin.cluster && { cluster: plugin.cluster }) };
  const asked = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec });
  const env = { ...process.env, ...plugin.env, KUBERNETES_EXEC_INFO: asked };
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { env, timeout: MAX_RUN_MS, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const why = stderr.trim().split('\n').slice(-3).join(' / ');
      if (typeof error.code === 'number') reject(failed(plugin, `ended with code ${error.code}: ${why}`));
      else if (error.killed) reject(failed(plugin, `did not end within ${MAX_RUN_MS / 1000} s`));
      else reject(failed(plugin, `cannot be started: ${describeFileError(error)}. ${installHint}`));
    });
    child.stdin?.on('error', () => {}).end();
  });
}

const failed = (plugin: ExecPlugin, what: string): ApiFailure => new ApiFailure('credentials', `${plugin.subject} ${what}`);

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
