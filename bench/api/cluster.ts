import type { AgentProcess } from '#lab/agent-process.ts';
import type { Lab } from '#lab/lab.ts';
import { bpffsDir, journalDir, WEIR } from '#lab/paths.ts';
import type { ApiObject } from '../../test/cluster/api-client.ts';
import type { ControlPlane } from '../../test/cluster/control-plane.ts';
import { raiseCluster } from '../../test/cluster/ground.ts';
import { memoryOf } from '../../test/scale/ground.ts';
import { NODE } from '../../test/scale/objects.ts';
import { NODE_NAME } from './objects.ts';
import { type Reach, startReach } from './reach.ts';

/** A node, a control plane and who dials. */
export class BenchCluster {
  readonly controlPlane: ControlPlane;
  readonly reach: Reach;
  readonly #lab: Lab;

  constructor(lab: Lab, controlPlane: ControlPlane, reach: Reach) {
    this.#lab = lab;
    this.controlPlane = controlPlane;
    this.reach = reach;
  }

  get #agent(): AgentProcess {
    return this.#lab.agent(NODE_NAME);
  }

  /** Starts the agent; resolves when it says that it is ready. */
  async startAgent(): Promise<void> {
    await this.#agent.start({ extraFlags: ['--source', 'api', '--kubeconfig', this.controlPlane.kubeconfig] });
  }

  /** What it did in the kernel stays. */
  async killAgent(): Promise<void> {
    await this.#agent.kill('SIGKILL');
  }

  /** The node is as if weir had never run. */
  async cleanUp(): Promise<void> {
    const { name } = this.#lab.topology;
    await this.#succeed([WEIR, 'cleanup', '--state-dir', bpffsDir(name, NODE_NAME), '--journal-dir', journalDir(name, NODE_NAME)]);
  }

  /** Megabytes of the agent: now, and the most so far. */
  memory(): { readonly now: number; readonly peak: number } {
    return { now: memoryOf(this.#lab, 'VmRSS') / 1024, peak: memoryOf(this.#lab, 'VmHWM') / 1024 };
  }

  /** Time to receive all lists, and their size. */
  async receiveLists(): Promise<{ readonly ms: number; readonly bytes: number }> {
    const script = new URL('lists.ts', import.meta.url).pathname;
    return JSON.parse(await this.#succeed([process.execPath, script, this.controlPlane.kubeconfig, NODE_NAME]));
  }

  async down(): Promise<void> {
    await this.#lab.down();
  }

  async #succeed(argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#lab.exec(NODE_NAME, argv);
    if (code !== 0) throw new Error(`Cannot run ${argv.join(' ')}: ${stderr}`);
    return stdout;
  }
}

/** Raises it without Services; an interruption of the process removes it. */
export async function raiseBenchCluster(): Promise<BenchCluster> {
  const { lab, controlPlane } = await raiseCluster('bench', [NODE]);
  try {
    await controlPlane.apply([NODE as ApiObject]);
    return new BenchCluster(lab, controlPlane, await startReach(lab));
  } catch (error) {
    await lab.down();
    throw error;
  }
}
