import { AslError } from '../core/mod.ts'
import { hostile } from './archive-path.ts'

/** The 512-byte header of a tar member: POSIX ustar, with the GNU ways to write large numbers. */
export interface RawTarHeader {
  readonly path: Buffer
  readonly typeFlag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly mtime: number
  readonly linkPath: Buffer
  readonly userName: string
  readonly groupName: string
  readonly rdev: readonly [major: number, minor: number]
}

export const TAR_BLOCK_SIZE_BYTES = 512

/** `undefined` for the block of zeros that ends an archive. @throws AslError FORMAT_INVALID, ARCHIVE_HOSTILE */
export function parseTarHeader(block: Buffer, archive: string, offset: number): RawTarHeader | undefined {
  if (isZero(block)) return undefined
  const where = `${archive}: tar header at offset ${offset}`
  let sum = 0
  for (let i = 0; i < TAR_BLOCK_SIZE_BYTES; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] as number)
  const name = cString(block, 0, 100)
  const stated = number(block, 148, 8, 'checksum', archive, name)
  if (sum !== stated) throw new AslError('FORMAT_INVALID', `${where} has checksum ${sum}, it says ${stated}`)
  // "ustar\0" is POSIX and splits long paths; "ustar  \0" is old GNU and does not; neither is the v7 format.
  const magic = block.toString('latin1', 257, 263)
  const prefix = magic === 'ustar\0' ? cString(block, 345, 155) : Buffer.alloc(0)
  const path = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name])
  const isUstar = magic.startsWith('ustar')
  const field = (start: number, length: number, what: string): number =>
    number(block, start, length, what, archive, path)
  return {
    path,
    typeFlag: String.fromCharCode(block[156] as number),
    mode: field(100, 8, 'mode'),
    uid: field(108, 8, 'uid'),
    gid: field(116, 8, 'gid'),
    sizeBytes: field(124, 12, 'size'),
    mtime: field(136, 12, 'mtime'),
    linkPath: cString(block, 157, 100),
    userName: isUstar ? cString(block, 265, 32).toString('latin1') : '',
    groupName: isUstar ? cString(block, 297, 32).toString('latin1') : '',
    rdev: isUstar ? [field(329, 8, 'device number'), field(337, 8, 'device number')] : [0, 0],
  }
}

/** Octal text, or base 256 when the first bit is set (GNU). A number that is negative or no number is a lie. */
function number(block: Buffer, start: number, length: number, what: string, archive: string, member: Buffer): number {
  const first = block[start] as number
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f
    // A negative one has all its high bits set, so it too comes out beyond 2^53.
    for (let i = start + 1; i < start + length; i++) value = value * 256 + (block[i] as number)
    if (!Number.isSafeInteger(value)) throw hostile(archive, member, `its ${what} is out of range`)
    return value
  }
  const text = block
    .toString('latin1', start, start + length)
    .replace(/\0.*$/s, '')
    .trim()
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw hostile(archive, member, `its ${what} is ${JSON.stringify(text)}, not octal`)
  return Number.parseInt(text, 8)
}

function cString(block: Buffer, start: number, length: number): Buffer {
  const field = block.subarray(start, start + length)
  const nul = field.indexOf(0)
  return nul === -1 ? field : field.subarray(0, nul)
}

const ZEROS = Buffer.alloc(TAR_BLOCK_SIZE_BYTES)

function isZero(block: Buffer): boolean {
  return block.equals(ZEROS)
}
