import { createHash } from 'node:crypto'
import { AslError, HASH_ID_SHA256, type Sha256, type TypeTag } from '../core/mod.ts'
import type { FileCache } from './file-cache.ts'
import type { SealedSegment } from './log-state.ts'
import { DIGEST_SIZE_BYTES } from './record-table.ts'
import {
  EXTENT_SIZE_BYTES,
  RECORD_FLAGS,
  SEGMENT_FOOTER_SIZE_BYTES,
  SEGMENT_HEADER_SIZE_BYTES,
  SEGMENT_MAGIC,
  SEGMENT_RECORD_SIZE_BYTES,
} from './segment-codec.ts'

export interface Extent {
  readonly blockId: string
  readonly offset: number
  readonly length: number
}

export interface SegmentRecord {
  readonly typeTag: TypeTag | undefined
  /** Size of ArtifactBytes. */
  readonly totalLength: number
  readonly isTombstone: boolean
  /** Extents cover the content alone, not ArtifactBytes. */
  readonly isContent: boolean
  readonly isPublished: boolean
  readonly domainNum: number
  readonly extentsOffset: number
  readonly extentCount: number
}

/** More pieces than any artifact of ours has; a foreign count must not make us allocate without end. */
const MOST_EXTENTS = 1 << 24

/** A sealed segment, read by `pread` where it is needed: nothing of it stays in memory but the header. */
export class SegmentFile {
  readonly path: string
  readonly segmentId: number
  /** The log record that made it visible. */
  readonly logseq: number
  readonly recordCount: number
  readonly #files: FileCache
  readonly #header: SegmentHeader
  /** The records read last: walks in order ask for the next ones. */
  #window: Buffer | undefined
  #windowStart = 0
  #windowEnd = 0

  private constructor(files: FileCache, path: string, sealed: SealedSegment, header: SegmentHeader) {
    this.#files = files
    this.path = path
    this.segmentId = sealed.segmentId
    this.logseq = sealed.logseq
    this.#header = header
    this.recordCount = header.recordCount
  }

  /**
   * @param isTrusted its hash need not be checked, because this process has just written it
   * @throws AslError INDEX_SEGMENT_MISSING, INDEX_SEGMENT_HASH, INDEX_SEGMENT_INVALID
   */
  static open(files: FileCache, path: string, sealed: SealedSegment, isTrusted = false): SegmentFile {
    const file = files.tryOpen(path)
    const hint = "'asl reindex' makes it again from the blocks."
    if (file === undefined) {
      const message = `The log names segment ${sealed.segmentId}, but there is no ${path}`
      throw new AslError('INDEX_SEGMENT_MISSING', message, { hint })
    }
    const found = isTrusted ? sealed.segmentHash : hashFile(file)
    if (found !== sealed.segmentHash) {
      const message = `${path} has sha256 ${found}, the log says ${sealed.segmentHash}`
      throw new AslError('INDEX_SEGMENT_HASH', message, { hint })
    }
    const header = Buffer.alloc(Math.min(SEGMENT_HEADER_SIZE_BYTES, file.sizeBytes))
    file.read(header, 0)
    return new SegmentFile(files, path, sealed, parseHeader(header, file.sizeBytes, path))
  }

  /**
   * Digests of records `from` to `to`, one after the other, in `into` or a new buffer. All are SHA-256:
   * {@link parseHeader} has made sure.
   */
  digests(from: number, to: number, into?: Buffer): Buffer {
    const sizeBytes = (to - from) * DIGEST_SIZE_BYTES
    const bytes = into?.subarray(0, sizeBytes) ?? Buffer.allocUnsafe(sizeBytes)
    this.#read(bytes, this.#header.digestsOffset + from * DIGEST_SIZE_BYTES)
    return bytes
  }

  /** Whether record `index` has this digest. */
  isDigest(index: number, digest: Uint8Array): boolean {
    this.#read(digestScratch, this.#header.digestsOffset + index * DIGEST_SIZE_BYTES)
    return digestScratch.equals(digest)
  }

  /** @throws AslError INDEX_SEGMENT_INVALID for an offset outside the file or a record that contradicts itself */
  record(index: number): SegmentRecord {
    if (index < this.#windowStart || index >= this.#windowEnd) {
      const end = Math.min(this.recordCount, index + WINDOW_RECORDS)
      this.#windowEnd = 0 // nothing, should the reading fail
      this.#window ??= Buffer.allocUnsafe(WINDOW_RECORDS * SEGMENT_RECORD_SIZE_BYTES)
      const part = this.#window.subarray(0, (end - index) * SEGMENT_RECORD_SIZE_BYTES)
      this.#read(part, this.#header.recordsOffset + index * SEGMENT_RECORD_SIZE_BYTES)
      this.#windowStart = index
      this.#windowEnd = end
    }
    return this.#parseRecord(this.#window as Buffer, (index - this.#windowStart) * SEGMENT_RECORD_SIZE_BYTES, index)
  }

  /** Records `from` to `to`, for walks over a whole segment. */
  *records(from: number, to: number): Iterable<SegmentRecord> {
    const perPiece = 4096
    for (let start = from; start < to; start += perPiece) {
      const end = Math.min(to, start + perPiece)
      const bytes = Buffer.allocUnsafe((end - start) * SEGMENT_RECORD_SIZE_BYTES)
      this.#read(bytes, this.#header.recordsOffset + start * SEGMENT_RECORD_SIZE_BYTES)
      for (let i = start; i < end; i++) yield this.#parseRecord(bytes, (i - start) * SEGMENT_RECORD_SIZE_BYTES, i)
    }
  }

  /** @throws AslError INDEX_SEGMENT_INVALID when the extents do not add up to the artifact */
  extents(record: SegmentRecord): Extent[] {
    const bytes = Buffer.allocUnsafe(record.extentCount * EXTENT_SIZE_BYTES)
    this.#read(bytes, record.extentsOffset)
    let total = 0
    const extents: Extent[] = []
    for (let at = 0; at < bytes.length; at += EXTENT_SIZE_BYTES) {
      const extent = {
        blockId: bytes.toString('hex', at, at + 32),
        offset: readU64(bytes, at + 32),
        length: readU64(bytes, at + 40),
      }
      total += extent.length
      extents.push(extent)
    }
    const wanted = record.isContent ? record.totalLength - (record.typeTag === undefined ? 9 : 13) : record.totalLength
    if (total !== wanted) throw invalid(this.path, `has extents of ${total} bytes for an artifact of ${wanted}`)
    return extents
  }

  /**
   * Flags, domain and size of records `from` to `to`, without the checks of {@link record}: for filling the look-up table,
   * where each nanosecond counts a million times.
   */
  scan(
    from: number,
    to: number,
    into: Buffer,
    visit: (index: number, flags: number, domainNum: number, totalLength: number) => void,
  ): void {
    const bytes = into.subarray(0, (to - from) * SEGMENT_RECORD_SIZE_BYTES)
    this.#read(bytes, this.#header.recordsOffset + from * SEGMENT_RECORD_SIZE_BYTES)
    for (let i = from, at = 0; i < to; i++, at += SEGMENT_RECORD_SIZE_BYTES) {
      visit(i, bytes.readUInt32LE(at + 52), bytes.readUInt32LE(at + 40), readU64(bytes, at + 32))
    }
  }

  /** Ids of the blocks that any extent names. */
  blockIds(): Set<string> {
    const ids = new Set<string>()
    const { extentsOffset, extentsEnd } = this.#header
    const perPiece = EXTENT_SIZE_BYTES * 4096
    for (let start = extentsOffset; start < extentsEnd; start += perPiece) {
      const bytes = Buffer.allocUnsafe(Math.min(perPiece, extentsEnd - start))
      this.#read(bytes, start)
      for (let at = 0; at < bytes.length; at += EXTENT_SIZE_BYTES) ids.add(bytes.toString('hex', at, at + 32))
    }
    return ids
  }

  #parseRecord(bytes: Buffer, at: number, index: number): SegmentRecord {
    const flags = bytes.readUInt32LE(at + 52)
    const hasTag = (flags & RECORD_FLAGS.hasTypeTag) !== 0
    const record: SegmentRecord = {
      typeTag: hasTag ? (bytes.readUInt32LE(at + 28) as TypeTag) : undefined,
      totalLength: readU64(bytes, at + 32),
      isTombstone: (flags & RECORD_FLAGS.tombstone) !== 0,
      isContent: (flags & RECORD_FLAGS.contentExtents) !== 0,
      isPublished: bytes[at + 44] === 1,
      domainNum: bytes.readUInt32LE(at + 40),
      extentsOffset: readU64(bytes, at + 16),
      extentCount: bytes.readUInt32LE(at + 24),
    }
    const fail = (reason: string): AslError => invalid(this.path, `record ${index} ${reason}`)
    if (bytes.readUInt32LE(at) !== HASH_ID_SHA256 || bytes.readUInt16LE(at + 4) !== DIGEST_SIZE_BYTES) {
      throw fail('is not keyed by SHA-256')
    }
    if (readU64(bytes, at + 8) !== this.#header.digestsOffset + index * DIGEST_SIZE_BYTES) {
      throw fail('has its digest out of order')
    }
    if (record.totalLength < (hasTag ? 13 : 9)) throw fail(`has length ${record.totalLength}`)
    if (record.isTombstone) return record
    const { extentsOffset, extentsEnd } = this.#header
    const end = record.extentsOffset + record.extentCount * EXTENT_SIZE_BYTES
    if (record.extentCount < 1 || record.extentCount > MOST_EXTENTS) throw fail(`has ${record.extentCount} extents`)
    if (record.extentsOffset < extentsOffset || end > extentsEnd) throw fail('has extents outside the file')
    return record
  }

  #read(into: Buffer, position: number): void {
    const file = this.#files.tryOpen(this.path)
    if (file === undefined || file.read(into, position) !== into.length) {
      throw new AslError('INDEX_SEGMENT_MISSING', `${this.path} has gone or shrunk since the store was opened`)
    }
  }
}

const digestScratch = Buffer.alloc(DIGEST_SIZE_BYTES)
const WINDOW_RECORDS = 64

interface SegmentHeader {
  readonly recordCount: number
  readonly recordsOffset: number
  readonly digestsOffset: number
  readonly extentsOffset: number
  readonly extentsEnd: number
}

function parseHeader(header: Buffer, fileSizeBytes: number, path: string): SegmentHeader {
  const fail = (reason: string): AslError => invalid(path, reason)
  if (fileSizeBytes < SEGMENT_HEADER_SIZE_BYTES + SEGMENT_FOOTER_SIZE_BYTES) throw fail(`has ${fileSizeBytes} bytes`)
  if (header.toString('latin1', 0, 8) !== SEGMENT_MAGIC) throw fail('does not start with ASLIDX01')
  const version = header.readUInt16LE(8)
  if (version !== 1 || header.readUInt32LE(12) !== SEGMENT_HEADER_SIZE_BYTES || header[101] !== 1) {
    throw new AslError('STORE_UNSUPPORTED', `${path} has segment version ${version}, this program knows 1`)
  }
  const parsed = {
    recordCount: readU64(header, 32),
    recordsOffset: readU64(header, 40),
    digestsOffset: readU64(header, 64),
    extentsOffset: readU64(header, 80),
    extentsEnd: readU64(header, 80) + readU64(header, 88) * EXTENT_SIZE_BYTES,
  }
  const dataEnd = fileSizeBytes - SEGMENT_FOOTER_SIZE_BYTES
  const isInside = (offset: number, size: number): boolean =>
    offset >= SEGMENT_HEADER_SIZE_BYTES && size <= dataEnd && offset <= dataEnd - size
  if (!isInside(parsed.recordsOffset, parsed.recordCount * SEGMENT_RECORD_SIZE_BYTES)) throw fail('has records outside')
  if (readU64(header, 72) !== parsed.recordCount * DIGEST_SIZE_BYTES) throw fail('has digests that are not SHA-256')
  if (!isInside(parsed.digestsOffset, parsed.recordCount * DIGEST_SIZE_BYTES)) throw fail('has digests outside')
  if (!isInside(parsed.extentsOffset, parsed.extentsEnd - parsed.extentsOffset)) throw fail('has extents outside')
  return parsed
}

function hashFile(file: { readonly sizeBytes: number; read(into: Buffer, position: number): number }): Sha256 {
  const hash = createHash('sha256')
  const piece = Buffer.allocUnsafe(Math.min(file.sizeBytes, 1 << 20))
  for (let at = 0; at < file.sizeBytes; ) {
    const got = file.read(piece, at)
    if (got === 0) break
    hash.update(piece.subarray(0, got))
    at += got
  }
  return hash.digest('hex') as Sha256
}

/** Above 2^53 the value is not exact, but stays too large for any check it then meets. */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}

function invalid(path: string, reason: string): AslError {
  return new AslError('INDEX_SEGMENT_INVALID', `${path} ${reason}`)
}
