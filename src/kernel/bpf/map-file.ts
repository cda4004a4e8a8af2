import { CStruct, checked, ENOTSUPP, errnoText, KernelError } from '../ffi/ffi.ts';
import { mapMemory } from '../ffi/memory.ts';
import { libbpf, objectInfo } from './libbpf.ts';

const ENOENT = 2;
const EINVAL = 22;
const ENOSPC = 28;
export const BPF_MAP_TYPE_ARRAY = 2;
const BPF_MAP_TYPE_PERCPU_HASH = 5;
const BPF_MAP_TYPE_PERCPU_ARRAY = 6;
/** An array whose memory user space can map. */
export const BPF_F_MMAPABLE = 0x400;

/** Memory for the values of one call, bytes. */
const CHUNK_BYTES = 256 << 10;

/** The kernel's description of a map (`struct bpf_map_info`). Sizes are bytes. */
export interface MapShape {
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

/** Progress of a call: `done` leading elements; `errno` is 0 if all are done. */
export interface Progress {
  readonly done: number;
  readonly errno: number;
}

/** Elements of a map as bytes. The next chunk reuses the buffers. */
export interface Chunk {
  readonly count: number;
  readonly keys: Buffer;
  readonly values: Buffer;
  /** Bytes from one value to the next. */
  readonly stride: number;
}

/** Reads the description of the map behind a descriptor. */
export function readMapShape(fd: number, name: string): MapShape {
  const bytes = objectInfo(fd, new CStruct(24), `map "${name}"`);
  const at = (offset: number) => bytes.readUInt32LE(offset);
  return { type: at(0), id: at(4), keySize: at(8), valueSize: at(12), maxEntries: at(16), flags: at(20) };
}

/** A map behind a descriptor, in bytes: in batches if the kernel supports them for this kind of map, else one element at a time. */
export class MapFile {
  readonly name: string;
  readonly fd: number;
  readonly shape: MapShape;
  /** Bytes of one value as the kernel returns it: per-CPU maps return one for each possible CPU, rounded up to 8. */
  readonly valueBytes: number;
  /** Elements in one call. */
  readonly chunk: number;
  readonly #options = CStruct.sized(24).bytes;
  #hasBatches = true;

  constructor(name: string, fd: number) {
    this.name = name;
    this.fd = fd;
    this.shape = readMapShape(fd, name);
    this.valueBytes = this.isPerCpu ? roundUp8(this.shape.valueSize) * possibleCpus() : this.shape.valueSize;
    this.chunk = Math.min(this.shape.maxEntries, Math.max(1, Math.floor(CHUNK_BYTES / (this.shape.keySize + this.valueBytes))));
  }

  get isPerCpu(): boolean {
    return this.shape.type === BPF_MAP_TYPE_PERCPU_ARRAY || this.shape.type === BPF_MAP_TYPE_PERCPU_HASH;
  }

  update(keys: Buffer, values: Buffer, count: number): Progress {
    return this.#write(
      count,
      (counter) => libbpf.bpf_map_update_batch(this.fd, keys, values, counter, this.#options),
      (i) => libbpf.bpf_map_update_elem(this.fd, nth(keys, this.shape.keySize, i), nth(values, this.valueBytes, i), 0),
    );
  }

  /** Missing keys count as done. */
  delete(keys: Buffer, count: number): Progress {
    const { keySize } = this.shape;
    let done = 0;
    while (done < count) {
      const rest = keys.subarray(done * keySize);
      const progress = this.#write(
        count - done,
        (counter) => libbpf.bpf_map_delete_batch(this.fd, rest, counter, this.#options),
        (i) => libbpf.bpf_map_delete_elem(this.fd, nth(rest, keySize, i)),
      );
      done += progress.done;
      if (progress.errno === ENOENT) done += 1;
      else if (progress.errno !== 0) return { done, errno: progress.errno };
    }
    return { done, errno: 0 };
  }

  #write(count: number, inBatch: (counter: Buffer) => number, single: (i: number) => number): Progress {
    if (this.#hasBatches) {
      const counter = counterOf(count);
      const result = inBatch(counter);
      if (result >= 0) return { done: count, errno: 0 };
      if (!isWithoutBatch(result)) return { done: doneOf(counter, count), errno: -result };
      this.#hasBatches = result !== -ENOTSUPP;
    }
    for (let i = 0; i < count; i++) {
      const result = single(i);
      if (result < 0) return { done: i, errno: -result };
    }
    return { done: count, errno: 0 };
  }

  /** Every element, a chunk at a time; skips chunks of zeros in arrays that can be mapped. */
  scan(): Generator<Chunk> {
    return (this.shape.flags & BPF_F_MMAPABLE) !== 0 ? this.#scanMapped() : this.#scanInBatches();
  }

  /** Reads the kernel's own memory: a hundred times faster than a million look-ups. */
  *#scanMapped(): Generator<Chunk> {
    const stride = roundUp8(this.shape.valueSize);
    const { keys, values } = this.#buffers(this.chunk, stride);
    const zeros = Buffer.alloc(values.length);
    const memory = mapMemory(this.fd, stride * this.shape.maxEntries, `map "${this.name}"`);
    try {
      for (let first = 0; first < this.shape.maxEntries; first += this.chunk) {
        const count = Math.min(this.chunk, this.shape.maxEntries - first);
        memory.read(values, first * stride, count * stride);
        if (values.compare(zeros, 0, count * stride, 0, count * stride) === 0) continue;
        for (let i = 0; i < count; i++) keys.writeUInt32LE(first + i, 4 * i);
        yield { count, keys, values, stride };
      }
    } finally {
      memory.unmap();
    }
  }

  *#scanInBatches(): Generator<Chunk> {
    let entries = this.chunk;
    let from: Buffer | null = null;
    const to = Buffer.alloc(Math.max(8, this.shape.keySize));
    let buffers = this.#buffers(entries);
    while (true) {
      const counter = counterOf(entries);
      const result = libbpf.bpf_map_lookup_batch(this.fd, from, to, buffers.keys, buffers.values, counter, this.#options);
      if (from === null && isWithoutBatch(result)) return yield* this.#scanSingly();
      if (result === -ENOSPC) {
        // A hash bucket does not fit into the chunk.
        entries *= 2;
        buffers = this.#buffers(entries);
        continue;
      }
      if (result < 0 && result !== -ENOENT) throw new KernelError(`read map "${this.name}"`, -result);
      yield { count: counter.readUInt32LE(), ...buffers, stride: this.valueBytes };
      if (result === -ENOENT) return;
      from = to;
    }
  }

  *#scanSingly(): Generator<Chunk> {
    const { keys, values } = this.#buffers(1);
    let previous: Buffer | null = null;
    while (libbpf.bpf_map_get_next_key(this.fd, previous, keys) === 0) {
      previous = Buffer.from(keys);
      if (libbpf.bpf_map_lookup_elem(this.fd, keys, values) === 0) yield { count: 1, keys, values, stride: this.valueBytes };
    }
  }

  #buffers(entries: number, stride = this.valueBytes): { readonly keys: Buffer; readonly values: Buffer } {
    return { keys: Buffer.alloc(entries * this.shape.keySize), values: Buffer.alloc(entries * stride) };
  }
}

const nth = (bytes: Buffer, size: number, i: number): Buffer => bytes.subarray(i * size, (i + 1) * size);

const isWithoutBatch = (result: number): boolean => result === -ENOTSUPP || result === -EINVAL;

function counterOf(count: number): Buffer {
  const counter = Buffer.alloc(4);
  counter.writeUInt32LE(count);
  return counter;
}

/** A call that failed before it wrote its counter has done nothing. */
function doneOf(counter: Buffer, count: number): number {
  const done = counter.readUInt32LE();
  return done < count ? done : 0;
}

const roundUp8 = (bytes: number): number => (bytes + 7) & ~7;

let cpus: number | undefined;

/** CPUs that this machine may ever have: the number of values in a per-CPU element. */
export function possibleCpus(): number {
  cpus ??= checked(libbpf.libbpf_num_possible_cpus(), 'count the possible CPUs');
  return cpus;
}

/** The kernel's error in words: `map is full, limit is 65536 entries`. */
export const mapErrorText = (map: MapFile, errno: number, isFull: boolean): string =>
  isFull ? `map is full, limit is ${map.shape.maxEntries} entries` : errnoText(errno);
