import koffi from 'koffi';
import { bindLibrary, type CStruct, checked, type Pointer } from '../ffi/ffi.ts';
import { libc } from '../ffi/libc.ts';

for (const name of ['bpf_object', 'bpf_program', 'bpf_map']) koffi.opaque(name);

export type BpfObject = Pointer<'bpf_object'>;
export type BpfProgram = Pointer<'bpf_program'>;
export type BpfMap = Pointer<'bpf_map'>;

/** Functions of libbpf 1.1 and later. A number is a descriptor, 0 or -errno; a pointer is NULL on errors, with errno. */
interface LibBpf {
  bpf_iter_create(link: number): number;
  bpf_link_create(program: number, target: number, attachType: number, options: Uint8Array | null): number;
  bpf_link_detach(link: number): number;
  bpf_link_update(link: number, program: number, options: Uint8Array | null): number;
  bpf_map__fd(map: BpfMap): number;
  bpf_map__is_internal(map: BpfMap): boolean;
  bpf_map__map_flags(map: BpfMap): number;
  bpf_map__name(map: BpfMap): string;
  bpf_map__reuse_fd(map: BpfMap, fd: number): number;
  bpf_map__set_map_flags(map: BpfMap, flags: number): number;
  bpf_map__set_max_entries(map: BpfMap, entries: number): number;
  bpf_map_delete_batch(fd: number, keys: Uint8Array, count: Uint8Array, options: Uint8Array): number;
  bpf_map_delete_elem(fd: number, key: Uint8Array): number;
  bpf_map_get_next_key(fd: number, key: Uint8Array | null, next: Uint8Array): number;
  bpf_map_lookup_batch(
    fd: number,
    from: Uint8Array | null,
    to: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: Uint8Array,
    options: Uint8Array,
  ): number;
  bpf_map_lookup_elem(fd: number, key: Uint8Array, value: Uint8Array): number;
  bpf_map_update_batch(fd: number, keys: Uint8Array, values: Uint8Array, count: Uint8Array, options: Uint8Array): number;
  bpf_map_update_elem(fd: number, key: Uint8Array, value: Uint8Array, flags: number): number;
  bpf_obj_get(path: string): number;
  bpf_obj_get_info_by_fd(fd: number, info: Uint8Array, length: Uint8Array): number;
  bpf_obj_pin(fd: number, path: string): number;
  bpf_object__close(object: BpfObject): void;
  bpf_object__load(object: BpfObject): number;
  bpf_object__next_map(object: BpfObject, after: BpfMap | null): BpfMap | null;
  bpf_object__next_program(object: BpfObject, after: BpfProgram | null): BpfProgram | null;
  bpf_object__open_file(path: string, options: Uint8Array | null): BpfObject | null;
  bpf_prog_attach(program: number, target: number, attachType: number, flags: number): number;
  bpf_prog_get_fd_by_id(id: number): number;
  bpf_prog_load(type: number, name: string, license: string, instructions: Uint8Array, count: number, options: Uint8Array | null): number;
  bpf_prog_query_opts(target: number, attachType: number, options: Uint8Array): number;
  bpf_prog_test_run_opts(program: number, options: Uint8Array): number;
  bpf_program__expected_attach_type(program: BpfProgram): number;
  bpf_program__fd(program: BpfProgram): number;
  bpf_program__name(program: BpfProgram): string;
  bpf_tc_attach(hook: Uint8Array, options: Uint8Array): number;
  bpf_tc_detach(hook: Uint8Array, options: Uint8Array): number;
  bpf_tc_hook_create(hook: Uint8Array): number;
  bpf_tc_query(hook: Uint8Array, options: Uint8Array): number;
  libbpf_num_possible_cpus(): number;
  libbpf_probe_bpf_helper(programType: number, helper: number, options: null): number;
  libbpf_probe_bpf_map_type(type: number, options: null): number;
  libbpf_set_print(print: bigint): void;
}

export const libbpf = bindLibrary<LibBpf>('libbpf.so.1', 'libbpf1', {
  bpf_iter_create: 'int bpf_iter_create(int link)',
  bpf_link_create: 'int bpf_link_create(int program, int target, int type, const void *options)',
  bpf_link_detach: 'int bpf_link_detach(int link)',
  bpf_link_update: 'int bpf_link_update(int link, int program, const void *options)',
  bpf_map__fd: 'int bpf_map__fd(bpf_map *map)',
  bpf_map__is_internal: 'bool bpf_map__is_internal(bpf_map *map)',
  bpf_map__map_flags: 'uint32_t bpf_map__map_flags(bpf_map *map)',
  bpf_map__name: 'const char *bpf_map__name(bpf_map *map)',
  bpf_map__reuse_fd: 'int bpf_map__reuse_fd(bpf_map *map, int fd)',
  bpf_map__set_map_flags: 'int bpf_map__set_map_flags(bpf_map *map, uint32_t flags)',
  bpf_map__set_max_entries: 'int bpf_map__set_max_entries(bpf_map *map, uint32_t entries)',
  bpf_map_delete_batch: 'int bpf_map_delete_batch(int fd, const void *keys, void *count, const void *options)',
  bpf_map_delete_elem: 'int bpf_map_delete_elem(int fd, const void *key)',
  bpf_map_get_next_key: 'int bpf_map_get_next_key(int fd, const void *key, void *next)',
  bpf_map_lookup_batch:
    'int bpf_map_lookup_batch(int fd, void *from, void *to, void *keys, void *values, void *count, const void *options)',
  bpf_map_lookup_elem: 'int bpf_map_lookup_elem(int fd, const void *key, void *value)',
  bpf_map_update_batch: 'int bpf_map_update_batch(int fd, const void *keys, const void *values, void *count, const void *options)',
  bpf_map_update_elem: 'int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)',
  bpf_obj_get: 'int bpf_obj_get(const char *path)',
  bpf_obj_get_info_by_fd: 'int bpf_obj_get_info_by_fd(int fd, void *info, void *length)',
  bpf_obj_pin: 'int bpf_obj_pin(int fd, const char *path)',
  bpf_object__close: 'void bpf_object__close(bpf_object *object)',
  bpf_object__load: 'int bpf_object__load(bpf_object *object)',
  bpf_object__next_map: 'bpf_map *bpf_object__next_map(bpf_object *object, bpf_map *after)',
  bpf_object__next_program: 'bpf_program *bpf_object__next_program(bpf_object *object, bpf_program *after)',
  bpf_object__open_file: 'bpf_object *bpf_object__open_file(const char *path, const void *options)',
  bpf_prog_attach: 'int bpf_prog_attach(int program, int target, int type, unsigned int flags)',
  bpf_prog_get_fd_by_id: 'int bpf_prog_get_fd_by_id(uint32_t id)',
  bpf_prog_load:
    'int bpf_prog_load(int type, const char *name, const char *license, const void *instructions, size_t count, const void *options)',
  bpf_prog_query_opts: 'int bpf_prog_query_opts(int target, int type, void *options)',
  bpf_prog_test_run_opts: 'int bpf_prog_test_run_opts(int program, void *options)',
  bpf_program__expected_attach_type: 'int bpf_program__expected_attach_type(bpf_program *program)',
  bpf_program__fd: 'int bpf_program__fd(bpf_program *program)',
  bpf_program__name: 'const char *bpf_program__name(bpf_program *program)',
  bpf_tc_attach: 'int bpf_tc_attach(const void *hook, void *options)',
  bpf_tc_detach: 'int bpf_tc_detach(const void *hook, const void *options)',
  bpf_tc_hook_create: 'int bpf_tc_hook_create(void *hook)',
  bpf_tc_query: 'int bpf_tc_query(const void *hook, void *options)',
  libbpf_num_possible_cpus: 'int libbpf_num_possible_cpus()',
  libbpf_probe_bpf_helper: 'int libbpf_probe_bpf_helper(int type, int helper, const void *options)',
  libbpf_probe_bpf_map_type: 'int libbpf_probe_bpf_map_type(int type, const void *options)',
  libbpf_set_print: 'void *libbpf_set_print(void *print)',
});

/** `struct bpf_*_info` of a descriptor, as many bytes as requested; offsets as in <linux/bpf.h>. */
export function objectInfo(fd: number, into: CStruct, what: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(into.bytes.length);
  checked(libbpf.bpf_obj_get_info_by_fd(fd, into.bytes, length), `read the description of ${what}`);
  return into.bytes;
}

/** Most of a verifier log that libbpf 1.1 can hand over (its BPF_LOG_BUF_SIZE). */
const VERIFIER_LOG_BYTES = 16 << 20;
const LINE_BYTES = 4096;
const WARNING = 0;

let warnings: string[] = [];
let isCollecting = false;

/** Runs `run` and returns libbpf's messages meanwhile: warnings, including verifier logs. */
export function collectingWarnings<T>(run: () => T): { readonly result: T; readonly warnings: readonly string[] } {
  if (!isCollecting) collectFromNowOn();
  warnings = [];
  const result = run();
  return { result, warnings };
}

/** libbpf hands over a format and a va_list, which is passed as a pointer on x86-64 and on arm64. */
function collectFromNowOn(): void {
  const prototype = koffi.proto('int weir_libbpf_print(int level, const char *format, void *values)');
  const print = koffi.register((level: number, format: string, values: bigint): number => {
    if (level === WARNING) warnings.push(formatted(format, values));
    return 0;
  }, koffi.pointer(prototype));
  libbpf.libbpf_set_print(print);
  isCollecting = true;
}

function formatted(format: string, values: bigint): string {
  const bytes = Buffer.alloc(format.includes('LOAD LOG') ? VERIFIER_LOG_BYTES + LINE_BYTES : LINE_BYTES);
  const length = libc.vsnprintf(bytes, bytes.length, format, values);
  return bytes.toString('utf8', 0, Math.min(length, bytes.length - 1));
}
