import { createLab, type LabSpec } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { removeLab } from '#lab/removal.ts';
import { type ControlPlane, type ControlPlaneSpec, createControlPlane, SERVICE_RANGES } from './control-plane.ts';

export interface Cluster {
  readonly lab: Lab;
  readonly controlPlane: ControlPlane;
}

/** A lab without agents and a control plane in it. `letter` tells apart those of one process, an interruption of which removes them. */
export async function raiseCluster(
  letter: string,
  objects: LabSpec['objects'] & object,
  { controllerManager = false }: Omit<ControlPlaneSpec, 'lab'> = {},
): Promise<Cluster> {
  const name = `${letter}${process.pid}`;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => endWithout(name));
  const lab = await createLab({ name, objects, agents: false, serviceCidr: SERVICE_RANGES });
  try {
    return { lab, controlPlane: await createControlPlane({ lab, controllerManager }) };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function endWithout(lab: string): Promise<void> {
  await removeLab(lab);
  process.exit(130);
}
