import type { ProgramAhead } from '#reconcile/ports/datapath.ts';
import { KernelError } from '../ffi/ffi.ts';
import { ingressFilters } from '../netlink/filters.ts';
import { pinnedLink } from './bpf-link.ts';
import { BPF_TCX_INGRESS, linkPath } from './device-links.ts';
import { programName, queryPrograms } from './program-query.ts';
import { isOurFilter } from './tc-filter.ts';

/** `1. tcx program guard (id 7)`. */
export const aheadText = ({ hook, position, id, name }: ProgramAhead): string =>
  `${position}. ${hook} ${id === 0 ? `filter ${name}` : `program ${name || 'without a name'} (id ${id})`}`;

/**
 * Programs of others that run before weir's on packets that enter a device. A tcx program that returns TCX_PASS, and a filter that
 * returns TC_ACT_OK, end the chain (net/core/dev.c, sch_handle_ingress). Empty if weir's program is not there, or the device is gone.
 */
export function programsAhead(stateDir: string, ifindex: number): ProgramAhead[] {
  try {
    const link = pinnedLink(linkPath(stateDir, ifindex));
    return link === undefined ? filtersAhead(ifindex) : linksAhead(ifindex, link.programId);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENODEV') return [];
    throw error;
  }
}

function linksAhead(ifindex: number, ours: number): ProgramAhead[] {
  const { ids } = queryPrograms(ifindex, BPF_TCX_INGRESS);
  const ahead = ids.slice(0, Math.max(0, ids.indexOf(ours)));
  return ahead.map((id, i) => ({ hook: 'tcx', position: i + 1, id, name: programName(id) }));
}

function filtersAhead(ifindex: number): ProgramAhead[] {
  const filters = ingressFilters(ifindex);
  const ahead = filters.slice(0, Math.max(0, filters.findIndex(isOurFilter)));
  return ahead.map(({ kind, programId: id }, i) => ({ hook: 'clsact', position: i + 1, id, name: id === 0 ? kind : programName(id) }));
}
