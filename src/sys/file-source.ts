import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { AslError } from '../core/mod.ts'
import { ioError } from './files.ts'

/** Random access to a file or block device: a `ByteSource` of the room formats, by shape. */
export interface FileSource {
  readonly name: string
  readonly sizeBytes: number
  read(offset: number, sizeBytes: number): Buffer
  close(): void
}

/**
 * Opens a regular file or block device for reading. The size is the one at opening.
 * @throws AslError PATH_NOT_FOUND, STORE_IO
 */
export function openFileSource(path: string): FileSource {
  const fd = openForReading(path)
  const sizeBytes = sizeOf(fd, path)
  return {
    name: path,
    sizeBytes,
    read(offset, wanted) {
      if (!(offset >= 0 && wanted >= 0 && offset + wanted <= sizeBytes)) {
        throw new AslError(
          'FORMAT_INVALID',
          `${path}: a structure wants ${wanted} bytes at offset ${offset}, the end is at ${sizeBytes}`,
        )
      }
      const bytes = Buffer.allocUnsafe(wanted)
      for (let done = 0; done < wanted; ) {
        const got = readChunk(fd, bytes, done, offset + done, path)
        if (got === 0) throw new AslError('STORE_IO', `Cannot read ${path}: it became shorter than ${sizeBytes} bytes`)
        done += got
      }
      return bytes
    },
    close: () => closeSync(fd),
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new AslError('PATH_NOT_FOUND', `There is no file ${path}`)
    }
    throw ioError(error, `Cannot open ${path}`)
  }
}

function sizeOf(fd: number, path: string): number {
  const stats = fstatSync(fd)
  if (stats.isFile()) return stats.size
  if (stats.isBlockDevice()) return blockDeviceSize(stats.rdev)
  closeSync(fd)
  throw new AslError('STORE_IO', `Cannot read ${path}: it is neither a file nor a block device`)
}

/** The size stat() gives for a block device is 0; the kernel lists it under sysfs, in sectors of 512 bytes always. */
function blockDeviceSize(rdev: number): number {
  // glibc's encoding of dev_t: gnu_dev_major and gnu_dev_minor, sys/sysmacros.h
  const device = BigInt(rdev)
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n)
  return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8').trim()) * 512
}

function readChunk(fd: number, into: Buffer, at: number, position: number, path: string): number {
  try {
    return readSync(fd, into, at, into.length - at, position)
  } catch (error) {
    throw ioError(error, `Cannot read ${path} at offset ${position}`)
  }
}
