import { errnoOf } from '../sys/mod.ts'
import type { ReadFs } from './fs.ts'

export interface CachedFile {
  readonly sizeBytes: number
  /** Reads until `into` is full or the file ends. */
  read(into: Uint8Array, position: number): number
}

/** Open files of a store, the least recently used closed first: a store may have more blocks than a process may open. */
export class FileCache {
  readonly #fs: ReadFs
  readonly #limit: number
  readonly #open = new Map<string, { fd: number; file: CachedFile }>()

  constructor(fs: ReadFs, limit = 64) {
    this.#fs = fs
    this.#limit = limit
  }

  /** `undefined` when there is no such file. What is returned stays usable: it is opened again when it must be. */
  tryOpen(path: string): CachedFile | undefined {
    const known = this.#open.get(path)
    if (known !== undefined) {
      this.#open.delete(path)
      this.#open.set(path, known)
      return known.file
    }
    try {
      this.#openFd(path)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
    return this.#open.get(path)?.file
  }

  #openFd(path: string): number {
    const fd = this.#fs.open(path)
    if (this.#open.size >= this.#limit) {
      const oldest = this.#open.keys().next().value
      if (oldest !== undefined) this.forget(oldest)
    }
    const file: CachedFile = {
      sizeBytes: this.#fs.sizeOf(fd),
      read: (into, position) => this.#fs.pread(this.#open.get(path)?.fd ?? this.#openFd(path), into, position),
    }
    this.#open.set(path, { fd, file })
    return fd
  }

  /** Closes a file that has been replaced or removed. */
  forget(path: string): void {
    const known = this.#open.get(path)
    if (known === undefined) return
    this.#open.delete(path)
    this.#fs.close(known.fd)
  }

  close(): void {
    for (const path of [...this.#open.keys()]) this.forget(path)
  }
}
