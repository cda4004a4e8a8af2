import { join } from 'node:path';
import { createLab } from '../create-lab.ts';
import type { Lab } from '../lab.ts';
import { CHECKOUT } from '../paths.ts';
import { type Line, tryPath } from './line.ts';
import { SPREAD } from './objects.ts';
import { demoPaths, type SocketScope } from './paths.ts';
import { addServices, killAgent, oneSocketManyDatagrams, showConntrack, swapEndpoint } from './scenes.ts';

/** The sample that the demo raises: what kubectl printed from a real cluster, unedited. */
const SAMPLE = join(CHECKOUT, 'test/fixtures/shop-cluster.yaml');

export interface DemoOptions {
  readonly name: string;
  readonly socketScope: SocketScope;
  readonly signal: AbortSignal;
  /** Called for each line as soon as it is judged. */
  readonly onLine: (line: Line) => void;
}

/** The outcome of the demo; the lab still runs. */
export interface DemoResult {
  readonly lab: Lab;
  readonly lines: readonly Line[];
  /** One flow as `conntrack -L` printed it. */
  readonly conntrackEntry: string;
}

/** Raises the sample's lab and tries every path; the caller takes the lab down. When it throws, nothing is left of it. */
export async function runDemo({ name, socketScope, signal, onLine }: DemoOptions): Promise<DemoResult> {
  const lab = await createLab({ name, files: [SAMPLE], agentFlags: [`--socket-scope=${socketScope}`], signal });
  try {
    return { lab, ...(await tryEverything(lab, socketScope, signal, onLine)) };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function tryEverything(
  lab: Lab,
  scope: SocketScope,
  signal: AbortSignal,
  onLine: (line: Line) => void,
): Promise<{ lines: Line[]; conntrackEntry: string }> {
  const lines: Line[] = [];
  const add = (...more: Line[]) => {
    signal.throwIfAborted();
    for (const line of more) onLine(line);
    lines.push(...more);
  };
  add(...(await addServices(lab)));
  for (const path of demoPaths(lab, scope)) add(await tryPath(lab, path));
  add(await oneSocketManyDatagrams(lab, SPREAD.v4, SPREAD.port));
  add(...(await swapEndpoint(lab)));
  add(...(await killAgent(lab)));
  const { line, entry } = await showConntrack(lab);
  add(line);
  return { lines, conntrackEntry: entry };
}
