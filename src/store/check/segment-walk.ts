import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ReadFs } from '../fs.ts'
import type { Findings } from './report.ts'

/** Rows of all segments, in columns: an artifact and one extent of it. */
export class ExtentRows {
  count = 0
  /** Digest, 32 bytes a row. */
  digests = Buffer.alloc(64 * 32)
  segments = new Uint32Array(64)
  blocks = new Uint32Array(64)
  offsets = new Float64Array(64)
  lengths = new Float64Array(64)
  totalLengths = new Float64Array(64)
  typeTags = new Uint32Array(64)
  /** {@link ROW_FLAGS}. */
  flags = new Uint8Array(64)
  readonly blockIds: string[] = []
  readonly #blockNumbers = new Map<string, number>()

  add(
    digest: Buffer,
    segment: number,
    extent: { readonly blockId: string; readonly offset: number; readonly length: number },
    artifact: { readonly totalLength: number; readonly typeTag: number; readonly flags: number },
  ): void {
    if (this.count === this.segments.length) this.#resize(this.count * 2)
    const i = this.count++
    this.digests.set(digest, i * 32)
    this.segments[i] = segment
    this.blocks[i] = this.#blockNumber(extent.blockId)
    this.offsets[i] = extent.offset
    this.lengths[i] = extent.length
    this.totalLengths[i] = artifact.totalLength
    this.typeTags[i] = artifact.typeTag
    this.flags[i] = artifact.flags
  }

  /** Makes room for so many more rows at once. */
  reserve(more: number): void {
    if (this.count + more > this.segments.length) this.#resize(this.count + more)
  }

  #blockNumber(blockId: string): number {
    let number = this.#blockNumbers.get(blockId)
    if (number === undefined) {
      number = this.blockIds.push(blockId) - 1
      this.#blockNumbers.set(blockId, number)
    }
    return number
  }

  #resize(size: number): void {
    const wider = <T extends Uint8Array | Uint32Array | Float64Array>(from: T, into: T): T => {
      into.set(from)
      return into
    }
    this.digests = wider(this.digests, Buffer.alloc(size * 32))
    this.segments = wider(this.segments, new Uint32Array(size))
    this.blocks = wider(this.blocks, new Uint32Array(size))
    this.offsets = wider(this.offsets, new Float64Array(size))
    this.lengths = wider(this.lengths, new Float64Array(size))
    this.totalLengths = wider(this.totalLengths, new Float64Array(size))
    this.typeTags = wider(this.typeTags, new Uint32Array(size))
    this.flags = wider(this.flags, new Uint8Array(size))
  }
}

export const ROW_FLAGS = { hasTag: 1, isContent: 2, isFirst: 4, isLast: 8 } as const

/**
 * Reads one segment in full: every field of the header, every record, every extent, the footer. Adds its rows; the first
 * thing that is wrong ends the reading of it. Returns the number of bytes read.
 */
export function walkSegment(
  fs: ReadFs,
  path: string,
  wanted: WantedSegment,
  rows: ExtentRows,
  findings: Findings,
): number {
  if (fs.stat(path) === undefined) {
    findings.add('INDEX_SEGMENT_MISSING', path, 'the log names this segment')
    return 0
  }
  const fd = fs.open(path)
  try {
    const sizeBytes = fs.sizeOf(fd)
    const { hash, crc } = digestsOf(fs, fd, sizeBytes)
    if (hash !== wanted.hash) findings.add('INDEX_SEGMENT_HASH', path, `sha256 is ${hash}, the log says ${wanted.hash}`)
    else {
      const problem = readSegment((at, size) => readPart(fs, fd, at, size), sizeBytes, crc, wanted, rows)
      if (problem !== undefined) findings.add('INDEX_SEGMENT_INVALID', path, problem)
    }
    return sizeBytes
  } finally {
    fs.close(fd)
  }
}

export interface WantedSegment {
  /** Place in seal order. */
  readonly number: number
  readonly hash: string
  readonly shardId: number
  readonly domainNum: number
}

/** Raw hash of the file, and CRC-32 of all but its 16-byte footer. */
function digestsOf(fs: ReadFs, fd: number, sizeBytes: number): { hash: string; crc: number } {
  const hash = createHash('sha256')
  const piece = Buffer.allocUnsafe(1 << 20)
  let crc = 0
  for (let at = 0; at < sizeBytes; ) {
    const got = fs.pread(fd, piece, at)
    if (got === 0) break
    const part = piece.subarray(0, got)
    hash.update(part)
    crc = crc32(part.subarray(0, Math.max(0, Math.min(got, sizeBytes - 16 - at))), crc)
    at += got
  }
  return { hash: hash.digest('hex'), crc }
}

function readPart(fs: ReadFs, fd: number, at: number, sizeBytes: number): Buffer {
  const part = Buffer.alloc(sizeBytes)
  fs.pread(fd, part, at)
  return part
}

const RECORDS_PER_PIECE = 8192

/** The reason why the segment is none, or `undefined`. */
function readSegment(
  read: (at: number, sizeBytes: number) => Buffer,
  sizeBytes: number,
  crc: number,
  wanted: WantedSegment,
  rows: ExtentRows,
): string | undefined {
  if (sizeBytes < 128) return `the file has ${sizeBytes} bytes`
  const footerAt = sizeBytes - 16
  const footer = read(footerAt, 16)
  if (footer.readUInt32LE(0) !== crc) return 'the checksum in the footer differs'
  if (footer.readUInt32LE(4) !== 0 || u64(footer, 8) !== sizeBytes) return 'the footer has another size'
  const header = read(0, 112)
  for (const [at, size, hex, name] of FIXED_FIELDS) {
    const found = header.toString('hex', at, at + size)
    if (found !== hex) return `${name} is ${found}`
  }
  if (header.readUInt16LE(10) !== wanted.shardId) return `it is of shard ${header.readUInt16LE(10)}`
  if (header.readUInt32LE(96) !== wanted.domainNum) return `it is of domain ${header.readUInt32LE(96)}`
  const count = u64(header, 32)
  const [recordsAt, digestsAt, extentsAt] = [u64(header, 40), u64(header, 64), u64(header, 80)]
  if (recordsAt !== 112 + u64(header, 56) || digestsAt !== recordsAt + count * 56)
    return 'records do not follow the header'
  if (u64(header, 72) !== count * 32 || extentsAt !== digestsAt + count * 32) return 'digests do not follow the records'
  if (footerAt !== extentsAt + u64(header, 88) * 48) return 'extents do not end at the footer'
  rows.reserve(u64(header, 88))
  const cursor: Cursor = { nextExtentAt: extentsAt, visibility: 0, previous: Buffer.alloc(0) }
  for (let start = 0; start < count; start += RECORDS_PER_PIECE) {
    const end = Math.min(count, start + RECORDS_PER_PIECE)
    const piece: Piece = {
      start,
      end,
      digestsAt,
      footerAt,
      records: read(recordsAt + start * 56, (end - start) * 56),
      digests: read(digestsAt + start * 32, (end - start) * 32),
    }
    const problem = readRecords(read, piece, cursor, wanted.number, rows)
    if (problem !== undefined) return problem
  }
  if (cursor.nextExtentAt !== footerAt) return 'it has extents that no record covers'
  if (header[100] !== cursor.visibility)
    return `segment_visibility is ${header[100]}, its records have ${cursor.visibility}`
  return undefined
}

const FIXED_FIELDS: readonly (readonly [at: number, sizeBytes: number, hex: string, name: string])[] = [
  [0, 8, '41534c4944583031', 'magic'],
  [8, 2, '0100', 'version'],
  [12, 4, '70000000', 'header_size'],
  [24, 8, 'ffffffffffffffff', 'snapshot_max'],
  [101, 11, '0100000000000000000000', 'federation_version, reserved or flags'],
]

interface Cursor {
  nextExtentAt: number
  visibility: number
  /** Digest of the record before. */
  previous: Buffer
}

interface Piece {
  readonly start: number
  readonly end: number
  readonly digestsAt: number
  readonly footerAt: number
  readonly records: Buffer
  readonly digests: Buffer
}

function readRecords(
  read: (at: number, sizeBytes: number) => Buffer,
  piece: Piece,
  cursor: Cursor,
  segment: number,
  rows: ExtentRows,
): string | undefined {
  const { start, end, records, digests } = piece
  let extentCount = 0
  for (let i = start; i < end; i++) extentCount += records.readUInt32LE((i - start) * 56 + 24)
  if (cursor.nextExtentAt + extentCount * 48 > piece.footerAt)
    return `records ${start} to ${end} have extents beyond the end`
  const extents = read(cursor.nextExtentAt, extentCount * 48)
  let extentAt = 0
  for (let i = start; i < end; i++) {
    const at = (i - start) * 56
    const digest = digests.subarray((i - start) * 32, (i - start) * 32 + 32)
    const fail = (reason: string): string => `record ${i} ${reason}`
    if (records.readUInt32LE(at) !== 1 || records.readUInt32LE(at + 4) !== 32) return fail('is not keyed by SHA-256')
    if (u64(records, at + 8) !== piece.digestsAt + i * 32) return fail('has its digest elsewhere')
    if (Buffer.compare(cursor.previous, digest) >= 0) return fail('is not in order')
    cursor.previous = digest
    const flags = records.readUInt32LE(at + 52)
    if (flags > 7 || records.readUInt16LE(at + 46) !== 0) return fail('has unknown flags')
    cursor.visibility = Math.max(cursor.visibility, records[at + 44] as number)
    const count = records.readUInt32LE(at + 24)
    if ((flags & 1) !== 0) {
      if (count !== 0) return fail('is a tombstone with a location')
      continue
    }
    const artifact = { typeTag: records.readUInt32LE(at + 28), totalLength: u64(records, at + 32), flags }
    if (artifact.totalLength < ((flags & 2) === 0 ? 9 : 13)) return fail(`has length ${artifact.totalLength}`)
    if ((flags & 2) === 0 && artifact.typeTag !== 0) return fail('has a tag it does not announce')
    if (u64(records, at + 16) !== cursor.nextExtentAt || count === 0) return fail('does not continue the extents')
    const covered = addRows(rows, digest, segment, extents.subarray(extentAt, extentAt + count * 48), artifact)
    if (covered !== artifact.totalLength) return fail(`covers ${covered} of ${artifact.totalLength} bytes`)
    cursor.nextExtentAt += count * 48
    extentAt += count * 48
  }
  return undefined
}

/** Returns how much of ArtifactBytes the extents cover, an implied header included. */
function addRows(
  rows: ExtentRows,
  digest: Buffer,
  segment: number,
  extents: Buffer,
  artifact: { readonly typeTag: number; readonly totalLength: number; readonly flags: number },
): number {
  const isTagged = (artifact.flags & 2) !== 0
  const isContent = (artifact.flags & 4) !== 0
  let covered = isContent ? (isTagged ? 13 : 9) : 0
  for (let at = 0; at < extents.length; at += 48) {
    const extent = {
      blockId: extents.toString('hex', at, at + 32),
      offset: u64(extents, at + 32),
      length: u64(extents, at + 40),
    }
    covered += extent.length
    const flags =
      (isTagged ? ROW_FLAGS.hasTag : 0) |
      (isContent ? ROW_FLAGS.isContent : 0) |
      (at === 0 ? ROW_FLAGS.isFirst : 0) |
      (at === extents.length - 48 ? ROW_FLAGS.isLast : 0)
    rows.add(digest, segment, extent, { ...artifact, flags })
  }
  return covered
}

function u64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}
