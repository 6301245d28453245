import { closeSync, openSync, readSync } from 'node:fs'
import { sha256Stream } from '../../core/mod.ts'
import type { StoreWriter } from '../../store/mod.ts'
import { writeAll } from '../../sys/mod.ts'
import type { StoredLog } from '../receipts.ts'

/** Keeps what a command prints in a file while somebody else sees it live. */
export interface LogFile {
  readonly path: string
  write(chunk: Buffer): void
  /** Puts the whole of it into the batch. */
  put(writer: StoreWriter): StoredLog
  close(): void
}

export function openLogFile(path: string): LogFile {
  const fd = openSync(path, 'w+', 0o600)
  return {
    path,
    write: chunk => writeAll(fd, chunk),
    put: writer => ({ ref: writer.putOpenFile(fd, path).reference, sha256: hashOf(path) }),
    close: () => closeSync(fd),
  }
}

function hashOf(path: string): StoredLog['sha256'] {
  const fd = openSync(path, 'r')
  try {
    const hash = sha256Stream()
    const buffer = Buffer.allocUnsafe(1024 * 1024)
    for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer)) hash.update(buffer.subarray(0, size))
    return hash.digest()
  } finally {
    closeSync(fd)
  }
}
