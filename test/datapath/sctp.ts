/** What no socket says: SCTP in a lab and stray packets, see speaker.c and stray.c. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '#lab/lab.ts';
import { CHECKOUT } from '#lab/paths.ts';
import type { Seen } from '#lab/probe.ts';
import { hostPort } from '#lib/host-port.ts';
import type { Dials } from './paths.ts';

const PROGRAMS = ['speaker', 'stray'] as const;

/** Path of a program that makes packets past the kernel's sockets. */
export const rawProgram = (name: (typeof PROGRAMS)[number]): string => join(CHECKOUT, 'dist/test', name);

/** Builds them; where there is no compiler, as on the machines of test/kernels, they must be there already. */
export function buildRawPrograms(): void {
  const targets = PROGRAMS.map((name) => `dist/test/${name}`);
  if (spawnSync('clang', ['--version']).error !== undefined && PROGRAMS.every((name) => existsSync(rawProgram(name)))) return;
  const { status, stderr } = spawnSync('make', ['--no-print-directory', '-s', '-C', CHECKOUT, ...targets], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot build ${targets.join(' and ')}: ${stderr}`);
}

/** Runs a program at a place; resolves when it says that it is ready. */
export async function startRaw(lab: Lab, place: string, name: (typeof PROGRAMS)[number], ...argv: string[]): Promise<ChildProcess> {
  const child = lab.spawn(place, [rawProgram(name), ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = child.stdout ? await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]) : [];
  if (!`${line}`.startsWith('ready')) throw new Error(`Cannot start ${name} at ${place}: ${line}`);
  return child;
}

/** Asks over SCTP, whatever protocol the target names. The port that it asks from is used once. */
export function sctpDials(lab: Lab): Dials {
  let lastPort = 20_000;
  return {
    async dial(from, { address, port, localAddress, localPort, timeoutMs = 1000 }) {
      const start = performance.now();
      const sourcePort = localPort ?? ++lastPort;
      const { code, stdout, stderr } = await lab.exec(from, [
        rawProgram('speaker'),
        'dial',
        address,
        `${port}`,
        `${sourcePort}`,
        `${timeoutMs}`,
        ...(localAddress === undefined ? [] : [localAddress]),
      ]);
      if (code !== 0) throw new Error(`The speaker failed at ${from}: ${stderr}`);
      return seenOf(stdout, hostPort(address, port), performance.now() - start);
    },
  };
}

function seenOf(said: string, peer: string, ms: number): Seen {
  const [, answeredBy, address, port] = /answered (\S+) (\S+) (\d+)/.exec(said) ?? [];
  if (answeredBy !== undefined && address !== undefined)
    return { outcome: 'answered', ms, answeredBy, node: '', client: hostPort(address, Number(port)), peer, server: '' };
  return said.includes('refused') ? { outcome: 'refused', ms } : { outcome: 'timeout', ms };
}
