import { bindLibrary, checkedErrno } from './ffi.ts';

/** Functions of libc that Node does not offer. Lengths are bytes; functions that return int fail with -1 and errno. */
interface LibC {
  bind(fd: number, address: Uint8Array, length: number): number;
  close(fd: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  flock(fd: number, operation: number): number;
  getpeername(fd: number, address: Uint8Array, length: Uint8Array): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  malloc_trim(keep: number): number;
  memcpy(into: Uint8Array, from: bigint, length: number): bigint;
  mmap(at: null, length: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(address: bigint, length: number): number;
  mount(source: string, target: string, type: string, flags: number, options: string): number;
  recv(fd: number, into: Uint8Array, length: number, flags: number): number;
  send(fd: number, from: Uint8Array, length: number, flags: number): number;
  setns(fd: number, type: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  socket(family: number, type: number, protocol: number): number;
  umount2(target: string, flags: number): number;
  unshare(flags: number): number;
  vsnprintf(into: Uint8Array, size: number, format: string, values: bigint): number;
}

export const libc = bindLibrary<LibC>('libc.so.6', 'libc6', {
  bind: 'int bind(int fd, const void *address, uint32_t length)',
  close: 'int close(int fd)',
  connect: 'int connect(int fd, const void *address, uint32_t length)',
  fcntl: 'int fcntl(int fd, int command, long argument)',
  flock: 'int flock(int fd, int operation)',
  getpeername: 'int getpeername(int fd, void *address, void *length)',
  getsockopt: 'int getsockopt(int fd, int level, int name, void *value, void *length)',
  malloc_trim: 'int malloc_trim(size_t keep)',
  memcpy: 'void *memcpy(void *into, const void *from, size_t length)',
  mmap: 'intptr_t mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
  munmap: 'int munmap(void *address, size_t length)',
  mount: 'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)',
  recv: 'intptr_t recv(int fd, void *into, size_t length, int flags)',
  send: 'intptr_t send(int fd, const void *from, size_t length, int flags)',
  setns: 'int setns(int fd, int type)',
  setsockopt: 'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
  socket: 'int socket(int family, int type, int protocol)',
  umount2: 'int umount2(const char *target, int flags)',
  unshare: 'int unshare(int flags)',
  vsnprintf: 'int vsnprintf(void *into, size_t size, const char *format, void *values)',
});

/** <asm-generic/socket.h>, <bits/socket.h>, <bits/fcntl.h>; the same on x86-64 and arm64. */
export const SOL_SOCKET = 1;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;

/** A second descriptor of what `fd` describes. */
export const duplicateFd = (fd: number): number => checkedErrno(libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), `duplicate descriptor ${fd}`);

/** Runs `use` on a descriptor and closes it, whatever happens. */
export function closing<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } finally {
    libc.close(fd);
  }
}

/** Sets a socket option that is an int. */
export function setIntOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  checkedErrno(libc.setsockopt(fd, level, name, bytes, bytes.length), `set socket option ${level}/${name} to ${value}`);
}
