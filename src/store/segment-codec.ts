import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { HASH_ID_SHA256, type Sha256, type TypeTag } from '../core/mod.ts'
import { DIGEST_SIZE_BYTES, type RecordTable } from './record-table.ts'

/**
 * An index segment on disk (ENC/ASL-CORE-INDEX/1, reference §6): little-endian, packed, offsets from the file's start.
 * Header, records in ascending order of (hash_id, digest), digest bytes in the same order, extents, footer.
 */
export const SEGMENT_HEADER_SIZE_BYTES = 112
export const SEGMENT_RECORD_SIZE_BYTES = 56
export const EXTENT_SIZE_BYTES = 48
export const SEGMENT_FOOTER_SIZE_BYTES = 16
export const SEGMENT_MAGIC = 'ASLIDX01'

export const RECORD_FLAGS = { tombstone: 1, hasTypeTag: 2, contentExtents: 4 } as const

export interface SegmentOptions {
  readonly shardId: number
  /** Id the next snapshot will get. */
  readonly snapshotMin: number
  readonly domainNum: number
  /** Block ids by the numbers that the rows use, 32 bytes each. */
  readonly blockIds: readonly Uint8Array[]
}

export interface WrittenSegment {
  readonly segmentHash: Sha256
  readonly sizeBytes: number
}

/** Writes the segment of one batch, in pieces, and returns the raw hash of the file. */
export function writeSegment(
  table: RecordTable,
  options: SegmentOptions,
  write: (bytes: Uint8Array, position: number) => void,
): WrittenSegment {
  const order = table.sorted()
  const layout = segmentLayout(table.count)
  const hash = createHash('sha256')
  let crc = 0
  let position = 0
  const append = (bytes: Uint8Array): void => {
    hash.update(bytes)
    write(bytes, position)
    position += bytes.length
  }
  const covered = (bytes: Uint8Array): void => {
    crc = crc32(bytes, crc)
    append(bytes)
  }
  covered(encodeHeader(table.count, layout, options))
  inPieces(table.count, SEGMENT_RECORD_SIZE_BYTES, covered, (out, at, i) => {
    const row = table.row(order[i] as number)
    out.writeUInt32LE(HASH_ID_SHA256, at)
    out.writeUInt16LE(DIGEST_SIZE_BYTES, at + 4)
    writeU64(out, layout.digestsOffset + i * DIGEST_SIZE_BYTES, at + 8)
    writeU64(out, layout.extentsOffset + i * EXTENT_SIZE_BYTES, at + 16)
    out.writeUInt32LE(1, at + 24)
    out.writeUInt32LE(row.typeTag ?? 0, at + 28)
    writeU64(out, row.totalLength, at + 32)
    out.writeUInt32LE(options.domainNum, at + 40)
    out.writeUInt32LE(
      (row.typeTag === undefined ? 0 : RECORD_FLAGS.hasTypeTag) | (row.isContent ? RECORD_FLAGS.contentExtents : 0),
      at + 52,
    )
  })
  inPieces(table.count, DIGEST_SIZE_BYTES, covered, (out, at, i) => out.set(table.digest(order[i] as number), at))
  inPieces(table.count, EXTENT_SIZE_BYTES, covered, (out, at, i) => {
    const row = table.row(order[i] as number)
    out.set(options.blockIds[row.block] as Uint8Array, at)
    writeU64(out, row.offset, at + 32)
    writeU64(out, extentLength(row.totalLength, row.typeTag, row.isContent), at + 40)
  })
  const footer = Buffer.alloc(SEGMENT_FOOTER_SIZE_BYTES)
  footer.writeUInt32LE(crc, 0)
  writeU64(footer, position + SEGMENT_FOOTER_SIZE_BYTES, 8)
  append(footer)
  return { segmentHash: hash.digest('hex') as Sha256, sizeBytes: position }
}

/** Length of what an extent covers: ArtifactBytes, or the content alone. */
export function extentLength(totalLength: number, typeTag: TypeTag | undefined, isContent: boolean): number {
  if (!isContent) return totalLength
  return totalLength - (typeTag === undefined ? 9 : 13)
}

interface SegmentLayout {
  readonly digestsOffset: number
  readonly extentsOffset: number
}

function segmentLayout(recordCount: number): SegmentLayout {
  const digestsOffset = SEGMENT_HEADER_SIZE_BYTES + recordCount * SEGMENT_RECORD_SIZE_BYTES
  return { digestsOffset, extentsOffset: digestsOffset + recordCount * DIGEST_SIZE_BYTES }
}

function encodeHeader(recordCount: number, layout: SegmentLayout, options: SegmentOptions): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_SIZE_BYTES)
  header.write(SEGMENT_MAGIC, 'latin1')
  header.writeUInt16LE(1, 8)
  header.writeUInt16LE(options.shardId, 10)
  header.writeUInt32LE(SEGMENT_HEADER_SIZE_BYTES, 12)
  writeU64(header, options.snapshotMin, 16)
  header.fill(0xff, 24, 32)
  writeU64(header, recordCount, 32)
  writeU64(header, SEGMENT_HEADER_SIZE_BYTES, 40)
  writeU64(header, layout.digestsOffset, 64)
  writeU64(header, recordCount * DIGEST_SIZE_BYTES, 72)
  writeU64(header, layout.extentsOffset, 80)
  writeU64(header, recordCount, 88)
  header.writeUInt32LE(options.domainNum, 96)
  header[101] = 1
  return header
}

function inPieces(
  count: number,
  sizeBytes: number,
  write: (bytes: Buffer) => void,
  fill: (out: Buffer, at: number, index: number) => void,
): void {
  const perPiece = Math.max(1, Math.floor((1 << 20) / sizeBytes))
  for (let start = 0; start < count; start += perPiece) {
    const end = Math.min(count, start + perPiece)
    const piece = Buffer.alloc((end - start) * sizeBytes)
    for (let i = start; i < end; i++) fill(piece, (i - start) * sizeBytes, i)
    write(piece)
  }
}

/** Faster than BigInt, and every number of ours is below 2^53. */
function writeU64(out: Buffer, value: number, at: number): void {
  out.writeUInt32LE(value % 2 ** 32, at)
  out.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4)
}
