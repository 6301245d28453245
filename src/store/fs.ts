/**
 * What a store needs of a file system, in two halves: {@link ReadFs} is all that a reader uses, so that a store may lie
 * on a disk or inside an image; {@link StoreFs} adds what the writer does, in the terms in which durability is argued.
 * Everything is synchronous, and errors carry the `code` of Node's `fs`.
 */
export interface ReadFs {
  /** @throws an error with code ENOENT when there is no such file */
  open(path: string): number
  /** Reads until `into` is full or the file ends; returns the number of bytes read. */
  pread(fd: number, into: Uint8Array, position: number): number
  close(fd: number): void
  /** Names in a folder, in any order; empty when there is no such folder. */
  readdir(path: string): string[]
  /** `undefined` when there is nothing at that path. */
  stat(path: string): FileStat | undefined
  sizeOf(fd: number): number
  /** The path a program of this machine can open, when there is one. */
  hostPath(path: string): string | undefined
}

export interface FileStat {
  readonly isFolder: boolean
  readonly sizeBytes: number
  /** Milliseconds since 1970. */
  readonly mtimeMs: number
}

export interface StoreFs extends ReadFs {
  /** Makes a new file for writing. @throws an error with code EEXIST when there is one */
  create(path: string, mode: number): number
  /** Opens an existing file for writing. */
  openForWriting(path: string): number
  /** Writes all of `bytes`. */
  pwrite(fd: number, bytes: Uint8Array, position: number): void
  truncate(fd: number, sizeBytes: number): void
  /** Content of one file on the disk. After a failure the content counts as lost: never repeated on the same file. */
  fsync(fd: number): void
  /** The names in one folder on the disk. */
  fsyncFolder(path: string): void
  /** All content and all names of the file system on the disk, `fd` having been opened on it before they were written. */
  syncAll(fd: number): void
  /** A hint that this file will be synced soon. */
  startWriteback(fd: number): void
  rename(from: string, to: string): void
  link(from: string, to: string): void
  /** Removes a file; one that is not there is no error. */
  unlink(path: string): void
  /** Makes a folder; one that is there is no error. */
  mkdir(path: string): void
  rmdir(path: string): void
  /** Takes the lock of the only writer. @throws AslError STORE_LOCKED after `waitMs` */
  lock(path: string, waitMs: number): WriterLock
}

export interface WriterLock {
  release(): void
}

export function readWholeFile(fs: ReadFs, path: string, maxBytes: number): Buffer {
  const fd = fs.open(path)
  try {
    const sizeBytes = fs.sizeOf(fd)
    if (sizeBytes > maxBytes) throw new RangeError(`${path} has ${sizeBytes} bytes, ${maxBytes} are allowed`)
    const bytes = Buffer.allocUnsafeSlow(sizeBytes)
    return bytes.subarray(0, fs.pread(fd, bytes, 0))
  } finally {
    fs.close(fd)
  }
}
