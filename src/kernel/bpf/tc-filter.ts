import { CStruct, KernelError } from '../ffi/ffi.ts';
import { collectingWarnings, libbpf } from './libbpf.ts';

const INGRESS = 1;
const BPF_TC_F_REPLACE = 1;
const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const ENODEV = 19;

/** Handle and priority identify weir's filter on a clsact queue after a restart. The handle is "weir" in ASCII. */
const HANDLE = 0x77656972;
const PRIORITY = 1;

/** struct bpf_tc_hook of libbpf. */
const hookOf = (ifindex: number): CStruct => CStruct.sized(24).u32(8, ifindex).u32(12, INGRESS);

/** struct bpf_tc_opts of libbpf. */
const filter = (): CStruct => CStruct.sized(32).u32(20, HANDLE).u32(24, PRIORITY);

/** Whether a filter at the ingress of a device is weir's. */
export const isOurFilter = ({ handle, priority }: { readonly handle: number; readonly priority: number }): boolean =>
  handle === HANDLE && priority === PRIORITY;

/** Attaches a program to the ingress of a device of this network namespace, or replaces weir's program without a gap. */
export function attachFilter(ifindex: number, program: number): void {
  const hook = hookOf(ifindex).bytes;
  const options = filter().u32(8, program).u32(12, BPF_TC_F_REPLACE).bytes;
  const { result } = collectingWarnings(() => {
    const created = libbpf.bpf_tc_hook_create(hook);
    return created < 0 && created !== -EEXIST ? created : libbpf.bpf_tc_attach(hook, options);
  });
  if (result < 0) throw new KernelError(`attach a clsact filter to device ${ifindex}`, -result);
}

/** Whether weir's filter is on a device of this network namespace. */
export const hasFilter = (ifindex: number): boolean =>
  collectingWarnings(() => libbpf.bpf_tc_query(hookOf(ifindex).bytes, filter().bytes)).result === 0;

/** Removes weir's filter; the clsact queue stays, because other programs may use it. Returns whether there was a filter. */
export function detachFilter(ifindex: number): boolean {
  const { result } = collectingWarnings(() => libbpf.bpf_tc_detach(hookOf(ifindex).bytes, filter().bytes));
  if (result < 0 && ![ENOENT, EINVAL, ENODEV].includes(-result))
    throw new KernelError(`detach the clsact filter of device ${ifindex}`, -result);
  return result === 0;
}
