/** SCTP in a lab, without sockets: see speaker.c. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '#lab/lab.ts';
import { CHECKOUT } from '#lab/paths.ts';
import type { Seen } from '#lab/probe.ts';
import { type Dials, hostPort } from './paths.ts';

/** What makes packets that no socket makes. */
export const SPEAKER = join(CHECKOUT, 'dist/test/speaker');

/** Builds it unless that was done since its source has changed: not every machine that runs the tests can. */
export function buildSpeaker(): void {
  const source = join(import.meta.dirname, 'speaker.c');
  const built = statSync(SPEAKER, { throwIfNoEntry: false });
  if (built !== undefined && built.mtimeMs >= statSync(source).mtimeMs) return;
  const { status, stderr } = spawnSync('make', ['--no-print-directory', '-s', '-C', CHECKOUT, 'dist/test/speaker'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot build ${SPEAKER}: ${stderr}`);
}

/** Runs the speaker at a place; resolves when it says that it is ready. */
export async function startSpeaker(lab: Lab, place: string, ...argv: string[]): Promise<ChildProcess> {
  const child = lab.spawn(place, [SPEAKER, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = child.stdout ? await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]) : [];
  if (!`${line}`.startsWith('ready')) throw new Error(`Cannot start the speaker of ${place}: ${line}`);
  return child;
}

/** Asks over SCTP, whatever protocol the target names. The port that it asks from is used once. */
export function sctpDials(lab: Lab): Dials {
  let lastPort = 20_000;
  return {
    async dial(from, { address, port, localPort, timeoutMs = 1000 }) {
      const start = performance.now();
      const sourcePort = localPort ?? ++lastPort;
      const { code, stdout, stderr } = await lab.exec(from, [SPEAKER, 'dial', address, `${port}`, `${sourcePort}`, `${timeoutMs}`]);
      if (code !== 0) throw new Error(`The speaker failed at ${from}: ${stderr}`);
      return seenOf(stdout, hostPort({ address, port }), performance.now() - start);
    },
  };
}

function seenOf(said: string, peer: string, ms: number): Seen {
  const [, answeredBy, address, port] = /answered (\S+) (\S+) (\d+)/.exec(said) ?? [];
  if (answeredBy !== undefined && address !== undefined)
    return { outcome: 'answered', ms, answeredBy, node: '', client: hostPort({ address, port: Number(port) }), peer, server: '' };
  return said.includes('refused') ? { outcome: 'refused', ms } : { outcome: 'timeout', ms };
}
