import type { ByteSource, Extent } from './byte-source.ts'
import { checkInside } from './byte-source.ts'
import { formatError } from './format-error.ts'
import { shortTime } from './rock-ridge.ts'

/** One directory record as it lies in its folder (ECMA-119 §9.1), not yet interpreted by a naming scheme. */
export interface IsoRecord {
  /** Where the record lies in the image, for messages. */
  readonly offset: number
  /** File identifier: bytes 0 and 1 stand for `.` and `..`. */
  readonly identifier: Buffer
  readonly isDirectory: boolean
  readonly isAssociated: boolean
  /** More records of the same file follow. */
  readonly isContinued: boolean
  readonly block: number
  readonly sizeBytes: number
  /** Absent for an empty file, whose block means nothing. */
  readonly extent: Extent | undefined
  readonly mtimeSeconds: number | undefined
  readonly systemUse: Buffer
}

export const SECTOR_BYTES = 2048
const FIXED_BYTES = 33

/** The records of the folder at `extent`, `.` and `..` included. Records never cross a sector. */
export function* recordsOf(source: ByteSource, blockBytes: number, extent: Extent): Generator<IsoRecord> {
  for (let inFolder = 0; inFolder < extent.sizeBytes; inFolder += SECTOR_BYTES) {
    const sector = source.read(extent.offset + inFolder, Math.min(SECTOR_BYTES, extent.sizeBytes - inFolder))
    for (let at = 0; at < sector.length && sector[at] !== 0; at += sector[at] as number) {
      yield parseRecord(source, blockBytes, sector.subarray(at), extent.offset + inFolder + at)
    }
  }
}

export function parseRecord(source: ByteSource, blockBytes: number, bytes: Buffer, offset: number): IsoRecord {
  const fail = (reason: string): never => {
    throw formatError(source, `directory record at ${offset}`, reason)
  }
  const sizeBytes = bytes[0] as number
  if (sizeBytes < FIXED_BYTES + 1 || sizeBytes > bytes.length) {
    fail(`says it has ${sizeBytes} bytes, ${bytes.length} are left in its sector`)
  }
  const nameBytes = bytes[32] as number
  const nameEnd = FIXED_BYTES + nameBytes
  if (nameBytes === 0 || nameEnd > sizeBytes) fail(`has a name of ${nameBytes} bytes in a record of ${sizeBytes}`)
  const flags = bytes[25] as number
  if (bytes[26] !== 0 || bytes[27] !== 0) fail('is an interleaved file, which nobody writes any more')
  const block = bytes.readUInt32LE(2) + (bytes[1] as number) // the file begins after its extended attribute record
  const contentBytes = bytes.readUInt32LE(10)
  const extent = contentBytes === 0 ? undefined : { offset: block * blockBytes, sizeBytes: contentBytes }
  if (extent !== undefined)
    checkInside(source, extent.offset, extent.sizeBytes, `the extent of the record at ${offset}`)
  return {
    offset,
    identifier: bytes.subarray(FIXED_BYTES, nameEnd),
    isDirectory: (flags & 0x02) !== 0,
    isAssociated: (flags & 0x04) !== 0,
    isContinued: (flags & 0x80) !== 0,
    block,
    sizeBytes: contentBytes,
    extent,
    mtimeSeconds: shortTime(bytes.subarray(18, 25)),
    systemUse: bytes.subarray(nameEnd + ((nameBytes & 1) === 0 ? 1 : 0), sizeBytes),
  }
}
