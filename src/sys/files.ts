import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AslError, type ErrorCode, messageOf } from '../core/mod.ts'

/**
 * Writes a file so that a crash leaves the old or the new content and nothing else: temporary file in the same
 * folder, write, fsync, rename, fsync of the folder.
 */
export function writeFileAtomic(path: string, bytes: Uint8Array | string, mode = 0o644): void {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  const fd = openSync(temporary, 'wx', mode)
  try {
    try {
      writeAll(fd, content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (error) {
    removeIfThere(temporary)
    throw error
  }
  fsyncFolder(folder)
}

export function writeAll(fd: number, bytes: Uint8Array, position: number | null = null): void {
  let done = 0
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position === null ? null : position + done)
  }
}

export function fsyncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Absent is `undefined`; anything else that prevents reading is thrown: unreadable is not absent. */
export function tryReadFile(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

export function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}

/** An error of the operating system as one of ours: a full disk says so, everything else is `code`. */
export function ioError(error: unknown, action: string, code: ErrorCode = 'STORE_IO'): AslError {
  const errno = errnoOf(error)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new AslError('DISK_FULL', `${action}: the disk is full`, {
      hint: 'Free some space and run the same command again; what was finished is kept.',
      cause: error,
    })
  }
  return new AslError(code, `${action}: ${messageOf(error)}`, { cause: error })
}

/** Runs `body` with a new private folder and removes it afterwards, whatever happens. */
export async function withTempFolder<T>(parent: string, body: (path: string) => Promise<T>): Promise<T> {
  mkdirSync(parent, { recursive: true })
  const path = mkdtempSync(join(parent, 'asl-'))
  try {
    return await body(path)
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

/** Bytes an ordinary user can still write on the file system that holds `path`. */
export function freeBytes(path: string): number {
  const stats = statfsSync(path)
  return stats.bavail * stats.bsize
}
