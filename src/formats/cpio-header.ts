import { AslError } from '../core/mod.ts'

/** The header of one member of a newc archive: thirteen numbers of eight hexadecimal digits. */
export interface CpioHeader {
  readonly inode: number
  /** st_mode, with the type bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly linkCount: number
  readonly mtime: number
  readonly sizeBytes: number
  readonly dev: readonly [major: number, minor: number]
  readonly rdev: readonly [major: number, minor: number]
  /** With the NUL at its end. */
  readonly nameBytes: number
  /** Sum of the content's bytes, in the variant that has one (magic 070702). */
  readonly checksum: number | undefined
}

export const CPIO_HEADER_BYTES = 110
export const CPIO_TRAILER = 'TRAILER!!!'
/** PATH_MAX of Linux, with its NUL: init/initramfs.c takes no longer names or link targets. */
export const MAX_CPIO_NAME_BYTES = 4096

const MAGIC = '070701'
const MAGIC_WITH_CHECKSUM = '070702'

export function parseCpioHeader(bytes: Buffer, place: string): CpioHeader {
  const magic = bytes.toString('latin1', 0, 6)
  if (magic !== MAGIC && magic !== MAGIC_WITH_CHECKSUM) {
    throw new AslError('FORMAT_INVALID', `${place}: no newc header, it begins with ${JSON.stringify(magic)}`)
  }
  const digits = bytes.toString('latin1', 6, CPIO_HEADER_BYTES)
  // parseInt alone would take a sign, blanks, or the digits before a wrong one
  if (!/^[0-9A-Fa-f]{104}$/.test(digits)) {
    throw new AslError('ARCHIVE_HOSTILE', `${place}: a number in the header is not hexadecimal`)
  }
  const field = (index: number): number => Number.parseInt(digits.slice(index * 8, index * 8 + 8), 16)
  return {
    inode: field(0),
    mode: field(1),
    uid: field(2),
    gid: field(3),
    linkCount: field(4),
    mtime: field(5),
    sizeBytes: field(6),
    dev: [field(7), field(8)],
    rdev: [field(9), field(10)],
    nameBytes: field(11),
    checksum: magic === MAGIC ? undefined : field(12),
  }
}

/** Header, name, NUL and padding to four bytes, in upper case as GNU cpio and dracut write it. */
export function encodeCpioHeader(header: Omit<CpioHeader, 'nameBytes' | 'checksum'>, name: Uint8Array): Buffer {
  const numbers = [
    ...[header.inode, header.mode, header.uid, header.gid, header.linkCount, header.mtime, header.sizeBytes],
    ...[...header.dev, ...header.rdev, name.length + 1, 0],
  ]
  const text = numbers.map(number => {
    if (!Number.isInteger(number) || number < 0 || number > 0xffffffff) {
      throw new AslError('LIMIT_EXCEEDED', `A newc archive has no room for the number ${number}: it holds 32 bits`)
    }
    return number.toString(16).toUpperCase().padStart(8, '0')
  })
  const sizeBytes = CPIO_HEADER_BYTES + name.length + 1
  const bytes = Buffer.alloc(sizeBytes + cpioPadding(sizeBytes))
  bytes.write(MAGIC + text.join(''), 'latin1')
  bytes.set(name, CPIO_HEADER_BYTES)
  return bytes
}

export function cpioPadding(sizeBytes: number): number {
  return (4 - (sizeBytes % 4)) % 4
}

/** The type bits of st_mode (S_IFMT) and the letters of a tree. */
const TYPES = [
  ['f', 0o100000],
  ['d', 0o040000],
  ['l', 0o120000],
  ['c', 0o020000],
  ['b', 0o060000],
  ['p', 0o010000],
  ['s', 0o140000],
] as const

export type CpioType = (typeof TYPES)[number][0]

const TYPE_BITS: ReadonlyMap<CpioType, number> = new Map(TYPES)
const TYPE_LETTERS: ReadonlyMap<number, CpioType> = new Map(TYPES.map(([letter, bits]) => [bits, letter]))

export function tryCpioType(mode: number): CpioType | undefined {
  return TYPE_LETTERS.get(mode & 0o170000)
}

export function cpioMode(type: CpioType, permissions: number): number {
  return (TYPE_BITS.get(type) as number) | permissions
}
