import { setTimeout as sleep } from 'node:timers/promises';
import { createLab, type LabSpec } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { labExists, removeLab } from '#lab/removal.ts';
import { type ControlPlane, type ControlPlaneSpec, createControlPlane } from './control-plane.ts';

const REMOVALS = 20;
const REMOVAL_PAUSE_MS = 100;

export interface Cluster {
  readonly lab: Lab;
  readonly controlPlane: ControlPlane;
}

/** A lab without agents and a control plane in it. `letter` distinguishes the labs of one process; an interruption removes them. */
export async function raiseCluster(
  letter: string,
  objects: LabSpec['objects'] & object,
  { controllerManager = false }: Omit<ControlPlaneSpec, 'lab'> = {},
): Promise<Cluster> {
  const name = `${letter}${process.pid}`;
  removeOnInterruption(name);
  // The ranges of Service addresses come from the API server, too
  const lab = await createLab({ name, objects, agents: false, serviceCidr: '' });
  try {
    return { lab, controlPlane: await createControlPlane({ lab, controllerManager }) };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** Ctrl-C reaches the test runner, too, which then asks for the end itself: further signals must not disturb the removal. */
function removeOnInterruption(lab: string): void {
  let isEnding = false;
  const interrupt = async () => {
    if (isEnding) return;
    isEnding = true;
    await removeSurely(lab);
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
}

/** An interrupted test fails and removes the lab as well, so each step may find its objects gone. */
async function removeSurely(lab: string): Promise<void> {
  for (let attempt = 0; attempt < REMOVALS && labExists(lab); attempt++) {
    await removeLab(lab).catch(() => sleep(REMOVAL_PAUSE_MS));
  }
}
