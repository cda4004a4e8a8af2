import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { checked } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { pin } from './bpf-link.ts';
import { libbpf } from './libbpf.ts';
import { readMapShape } from './map-file.ts';
import { isOfOurLayout, type TableSizes } from './table-sizes.ts';

/**
 * Tables that flows wrote and that stay valid when the other tables get new sizes: destinations of sockets, and counts.
 * (Session affinity refers to backends by ids, which are allocated again.)
 */
const FLOW_TABLES = ['socket_state', 'socket_flows', 'udp_senders', 'counters'] as const;

/** Pins flow tables of the folder in use into a new one, so that open sockets go on; leaves out tables of another layout or size. */
export function inheritFlowState(from: string, into: string, sizes: TableSizes): void {
  if (!isOfOurLayout(basename(from))) return;
  for (const name of FLOW_TABLES) {
    const path = `${from}/${name}`;
    if (!existsSync(path)) continue;
    closing(checked(libbpf.bpf_obj_get(path), `open map ${path}`), (fd) => {
      if (name === 'socket_state' || readMapShape(fd, name).maxEntries === sizes[name]) pin(fd, `${into}/${name}`);
    });
  }
}
