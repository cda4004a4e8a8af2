import { type ChildProcess, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '#lab/lab.ts';
import { CHECKOUT } from '#lab/paths.ts';
import { clusterIP, ENDPOINT_PORT, ENDPOINT_RANGE, NODE_NAME, SERVICE_PORT } from './objects.ts';

const PROGRAM = join(CHECKOUT, 'dist/bench/reach');
/** Between two dials of a Service. Each takes processor time that the agent does not get then. */
export const OFTEN_US = 500;
const SELDOM_US = 10_000;
const GIVE_UP_MS = 120_000;
const ANY = '0.0.0.0';

/** Milliseconds of the clock that all processes share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Dials Services from the node, in a process of its own there, which is also every endpoint. */
export class Reach {
  readonly #child: ChildProcess;
  readonly #waiting: PromiseWithResolvers<number>[] = [];
  #end: Error | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.resolve(Number(line) / 1e6));
    child.stdin?.on('error', () => {});
    child.on('exit', (code, signal) => {
      this.#end = new Error(`Cannot dial Services: the program that does it ended (${signal ?? code})`);
      for (const { reject } of this.#waiting) reject(this.#end);
    });
  }

  /** Dials a Service until a connection reaches that endpoint; tells when that was. */
  untilAt(n: number, endpoint: string, intervalUs = SELDOM_US): Promise<number> {
    return this.#until(endpoint, [n], intervalUs);
  }

  /** Dials Services, one after the other, until each has answered; tells when the last did. */
  untilAnswered(services: readonly number[]): Promise<number> {
    return this.#until(ANY, services, SELDOM_US);
  }

  #until(endpoint: string, services: readonly number[], intervalUs: number): Promise<number> {
    const waiting = Promise.withResolvers<number>();
    const timer = setTimeout(() => waiting.reject(new Error(`Services do not answer after ${GIVE_UP_MS / 1000} s`)), GIVE_UP_MS);
    if (this.#end) waiting.reject(this.#end);
    this.#waiting.push(waiting);
    this.#child.stdin?.write(`${[intervalUs, endpoint, ...services.map(clusterIP)].join(' ')}\n`);
    const reached = waiting.promise.finally(() => clearTimeout(timer));
    // The caller may not be listening yet when it fails
    reached.catch(() => {});
    return reached;
  }
}

/** Gives the node the addresses of all endpoints and starts the process; it ends with the lab. */
export async function startReach(lab: Lab): Promise<Reach> {
  mkdirSync(dirname(PROGRAM), { recursive: true });
  const built = spawnSync('clang', ['-O2', '-Wall', '-o', PROGRAM, join(import.meta.dirname, 'reach.c')], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`Cannot build the program that dials Services: ${built.stderr}`);
  const { code, stderr } = await lab.exec(NODE_NAME, ['ip', 'route', 'add', 'local', ENDPOINT_RANGE, 'dev', 'lo']);
  if (code !== 0) throw new Error(`Cannot give ${NODE_NAME} the addresses of the endpoints: ${stderr}`);
  const argv = [PROGRAM, `${SERVICE_PORT}`, `${ENDPOINT_PORT}`];
  return new Reach(lab.spawn(NODE_NAME, argv, { stdio: ['pipe', 'pipe', 'inherit'] }));
}
