import koffi from 'koffi';
import { duplicateFd, libc } from './libc.ts';

/** Open watchers: koffi's handle is closed by the garbage collector once nothing refers to it. */
const open = new Set<FdWatcher>();

/**
 * Calls back while a descriptor is readable, from Node's event loop. Wraps koffi.node.poll, which aborts the process when a
 * descriptor is polled twice or closed before its handle; hence a private duplicate, closed after the handle, once.
 */
export class FdWatcher {
  readonly #fd: number;
  readonly #handle: ReturnType<typeof koffi.node.poll>;
  #isClosed = false;

  /** `onError` gets what `onReadable` throws (koffi would swallow it) and a failure of the poll itself. */
  constructor(fd: number, onReadable: () => void, onError: (error: unknown) => void) {
    this.#fd = duplicateFd(fd);
    // The type declarations miss the first argument: a status, negative for -errno.
    const onEvent = (status: number) => {
      if (this.#isClosed) return;
      try {
        if (status < 0) throw new Error(`Cannot watch a descriptor: poll says ${status}`);
        onReadable();
      } catch (error) {
        onError(error);
      }
    };
    this.#handle = koffi.node.poll(this.#fd, { readable: true }, onEvent as unknown as Parameters<typeof koffi.node.poll>[1]);
    open.add(this);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    open.delete(this);
    this.#handle.close();
    libc.close(this.#fd);
  }
}
