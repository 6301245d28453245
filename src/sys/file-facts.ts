import { checkCall, systemCall } from './libc.ts'

/** What statx(2) says of an open file, read into one reused buffer: for loops that see every file of a system. */
export interface FileFacts {
  /** Bytes that stay equal as long as device, inode, size, mtime and ctime do. */
  readonly identity: Buffer
  readonly isRegular: boolean
  readonly isFolder: boolean
  readonly mode: number
  readonly linkCount: number
  readonly inode: string
  readonly sizeBytes: number
  readonly mountId: number
  /** Nanoseconds since 1970; undefined where the file system does not tell. */
  readonly birthNs: bigint | undefined
  readonly changeNs: bigint
  readonly modifyNs: bigint
}

const STATX_SIZE_BYTES = 256
/** STATX_BASIC_STATS, STATX_BTIME and STATX_MNT_ID of linux/stat.h. */
const MASK = { BASIC: 0x7ff, BTIME: 0x800, MNT_ID: 0x1000 } as const
const AT_EMPTY_PATH = 0x1000
const S_IFMT = 0o170000

export const IDENTITY_SIZE_BYTES = 48

/** @returns a function that asks for one descriptor after the other; each answer is a value of its own */
export function fileFactsReader(): (fd: number) => FileFacts {
  const statx = systemCall('statx')
  const raw = Buffer.alloc(STATX_SIZE_BYTES)
  return fd => {
    checkCall('statx', statx(fd, '', AT_EMPTY_PATH, MASK.BASIC | MASK.BTIME | MASK.MNT_ID, raw))
    const mode = raw.readUInt16LE(0x1c)
    const timeNs = (at: number): bigint => raw.readBigInt64LE(at) * 1_000_000_000n + BigInt(raw.readUInt32LE(at + 8))
    const identity = Buffer.allocUnsafe(IDENTITY_SIZE_BYTES)
    raw.copy(identity, 0, 0x88, 0x90) // device
    raw.copy(identity, 8, 0x20, 0x30) // inode, size
    raw.copy(identity, 24, 0x70, 0x7c) // mtime
    raw.copy(identity, 36, 0x60, 0x6c) // ctime
    return {
      identity,
      isRegular: (mode & S_IFMT) === 0o100000,
      isFolder: (mode & S_IFMT) === 0o040000,
      mode: mode & 0o7777,
      linkCount: raw.readUInt32LE(0x10),
      inode: identity.toString('latin1', 0, 16),
      sizeBytes: Number(raw.readBigUInt64LE(0x28)),
      mountId: Number(raw.readBigUInt64LE(0x90)),
      birthNs: (raw.readUInt32LE(0) & MASK.BTIME) === 0 ? undefined : timeNs(0x50),
      changeNs: timeNs(0x60),
      modifyNs: timeNs(0x70),
    }
  }
}
