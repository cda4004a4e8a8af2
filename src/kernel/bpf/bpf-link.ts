import { rmSync } from 'node:fs';
import { CStruct, checked, KernelError } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { libbpf, objectInfo } from './libbpf.ts';

const ENOENT = 2;

/** `enum bpf_link_type` of <linux/bpf.h>. */
export const LINK_CGROUP = 3;
export const LINK_TCX = 11;

/** The kernel's description of a link (`struct bpf_link_info`). A link whose target is gone has target 0. */
export interface LinkDescription {
  readonly type: number;
  readonly programId: number;
  /** cgroup id of a cgroup link, interface index of a tcx link. */
  readonly target: bigint;
}

/** Reads the description of the link behind a descriptor. */
export function describeLink(fd: number): LinkDescription {
  const bytes = objectInfo(fd, new CStruct(32), 'a link');
  const type = bytes.readUInt32LE(0);
  const target = type === LINK_TCX ? BigInt(bytes.readUInt32LE(16)) : bytes.readBigUInt64LE(16);
  return { type, programId: bytes.readUInt32LE(8), target };
}

/** Description of the link pinned at a path; undefined if there is none. */
export function pinnedLink(path: string): LinkDescription | undefined {
  const fd = libbpf.bpf_obj_get(path);
  if (fd === -ENOENT) return undefined;
  return closing(checked(fd, `open link ${path}`), describeLink);
}

/** Where a program should run: `target` is a cgroup's or a device's descriptor or index as bpf(2) takes it. */
export interface Attachment {
  readonly path: string;
  readonly program: number;
  readonly target: number;
  readonly attachType: number;
  /** BPF_F_* of a new link. */
  readonly flags: number;
  /** Whether a link is pinned already. */
  readonly isSame: (link: LinkDescription) => boolean;
}

/**
 * Runs `program` at its target and pins the link. A pinned link to the same target gets the new program, which is atomic; a link to another
 * target is replaced after the new one is in place.
 */
export function attachLink(attachment: Attachment): void {
  const old = libbpf.bpf_obj_get(attachment.path);
  if (old === -ENOENT) closing(createLink(attachment), (fd) => pin(fd, attachment.path));
  else
    closing(checked(old, `open link ${attachment.path}`), () => {
      if (attachment.isSame(describeLink(old)) && libbpf.bpf_link_update(old, attachment.program, null) === 0) return;
      closing(createLink(attachment), (fd) => {
        rmSync(attachment.path);
        pin(fd, attachment.path);
      });
    });
}

function createLink({ program, target, attachType, flags, path }: Attachment): number {
  // struct bpf_link_create_opts: flags at 8.
  const options = CStruct.sized(16).u32(8, flags).bytes;
  return checked(libbpf.bpf_link_create(program, target, attachType, options), `attach a program for ${path}`);
}

/** Detaches the link pinned at a path and removes the pin. Removal of the pin alone would detach a moment later. */
export function detachLink(path: string): void {
  const fd = libbpf.bpf_obj_get(path);
  if (fd >= 0) closing(fd, () => libbpf.bpf_link_detach(fd));
  rmSync(path, { force: true });
}

/** Pins a map or link; it lives until the pin is removed. */
export function pin(fd: number, path: string): void {
  const result = libbpf.bpf_obj_pin(fd, path);
  if (result < 0) throw new KernelError(`pin at ${path}`, -result);
}
