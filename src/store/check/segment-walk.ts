import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type ReadFs, readWholeFile } from '../fs.ts'
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
    if (this.count === this.segments.length) this.#grow()
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

  #blockNumber(blockId: string): number {
    let number = this.#blockNumbers.get(blockId)
    if (number === undefined) {
      number = this.blockIds.push(blockId) - 1
      this.#blockNumbers.set(blockId, number)
    }
    return number
  }

  #grow(): void {
    const size = this.segments.length * 2
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

const LARGEST_SEGMENT_BYTES = 2 ** 32

/**
 * Reads one segment in full: every field of the header, every record, every extent, the footer. Adds its rows; the first
 * thing that is wrong ends the reading of it.
 */
export function walkSegment(
  fs: ReadFs,
  path: string,
  wanted: { readonly number: number; readonly hash: string; readonly shardId: number; readonly domainNum: number },
  rows: ExtentRows,
  findings: Findings,
): number {
  if (fs.stat(path) === undefined) {
    findings.add('INDEX_SEGMENT_MISSING', path, 'the log names this segment')
    return 0
  }
  const bytes = readWholeFile(fs, path, LARGEST_SEGMENT_BYTES)
  const hash = createHash('sha256').update(bytes).digest('hex')
  if (hash !== wanted.hash) {
    findings.add('INDEX_SEGMENT_HASH', path, `sha256 is ${hash}, the log says ${wanted.hash}`)
    return bytes.length
  }
  const problem = readSegment(bytes, wanted, rows)
  if (problem !== undefined) findings.add('INDEX_SEGMENT_INVALID', path, problem)
  return bytes.length
}

function readSegment(
  bytes: Buffer,
  wanted: { readonly number: number; readonly shardId: number; readonly domainNum: number },
  rows: ExtentRows,
): string | undefined {
  if (bytes.length < 128) return `the file has ${bytes.length} bytes`
  const u64 = (at: number): number => Number(bytes.readBigUInt64LE(at))
  const footer = bytes.length - 16
  if (crc32(bytes.subarray(0, footer)) !== bytes.readUInt32LE(footer)) return 'the checksum in the footer differs'
  if (bytes.readUInt32LE(footer + 4) !== 0 || u64(footer + 8) !== bytes.length) return 'the footer has another size'
  const fixed: readonly (readonly [at: number, sizeBytes: number, hex: string, name: string])[] = [
    [0, 8, '41534c4944583031', 'magic'],
    [8, 2, '0100', 'version'],
    [12, 4, '70000000', 'header_size'],
    [24, 8, 'ffffffffffffffff', 'snapshot_max'],
    [101, 11, '0100000000000000000000', 'federation_version, reserved or flags'],
  ]
  for (const [at, sizeBytes, hex, name] of fixed) {
    if (bytes.toString('hex', at, at + sizeBytes) !== hex)
      return `${name} is ${bytes.toString('hex', at, at + sizeBytes)}`
  }
  if (bytes.readUInt16LE(10) !== wanted.shardId) return `it is of shard ${bytes.readUInt16LE(10)}`
  if (bytes.readUInt32LE(96) !== wanted.domainNum) return `it is of domain ${bytes.readUInt32LE(96)}`
  const count = u64(32)
  const [recordsAt, digestsAt, extentsAt, extentCount] = [u64(40), u64(64), u64(80), u64(88)]
  if (recordsAt !== 112 + u64(56) || digestsAt !== recordsAt + count * 56) return 'records do not follow the header'
  if (u64(72) !== count * 32 || extentsAt !== digestsAt + count * 32) return 'digests do not follow the records'
  if (footer !== extentsAt + extentCount * 48) return 'extents do not end at the footer'
  let nextExtent = extentsAt
  let visibility = 0
  for (let i = 0; i < count; i++) {
    const at = recordsAt + i * 56
    const digestAt = digestsAt + i * 32
    const digest = bytes.subarray(digestAt, digestAt + 32)
    const fail = (reason: string): string => `record ${i} ${reason}`
    if (bytes.readUInt32LE(at) !== 1 || bytes.readUInt32LE(at + 4) !== 32) return fail('is not keyed by SHA-256')
    if (u64(at + 8) !== digestAt) return fail('has its digest elsewhere')
    if (i > 0 && Buffer.compare(bytes.subarray(digestAt - 32, digestAt), digest) >= 0) return fail('is not in order')
    const [extents, typeTag, totalLength] = [bytes.readUInt32LE(at + 24), bytes.readUInt32LE(at + 28), u64(at + 32)]
    const flags = bytes.readUInt32LE(at + 52)
    if (flags > 7 || bytes.readUInt16LE(at + 46) !== 0) return fail('has unknown flags')
    visibility = Math.max(visibility, bytes[at + 44] as number)
    if ((flags & 1) !== 0) continue
    const isTagged = (flags & 2) !== 0
    const isContent = (flags & 4) !== 0
    if (!isTagged && typeTag !== 0) return fail('has a tag it does not announce')
    if (u64(at + 16) !== nextExtent || extents === 0) return fail('does not continue the extents')
    nextExtent += extents * 48
    if (nextExtent > footer) return fail('has extents beyond the end')
    let covered = 0
    for (let e = 0; e < extents; e++) {
      const extentAt = nextExtent - (extents - e) * 48
      const extent = {
        blockId: bytes.toString('hex', extentAt, extentAt + 32),
        offset: u64(extentAt + 32),
        length: u64(extentAt + 40),
      }
      covered += extent.length
      const rowFlags =
        (isTagged ? ROW_FLAGS.hasTag : 0) |
        (isContent ? ROW_FLAGS.isContent : 0) |
        (e === 0 ? ROW_FLAGS.isFirst : 0) |
        (e === extents - 1 ? ROW_FLAGS.isLast : 0)
      rows.add(digest, wanted.number, extent, { totalLength, typeTag, flags: rowFlags })
    }
    const header = isTagged ? 13 : 9
    if (covered + (isContent ? header : 0) !== totalLength) return fail(`covers ${covered} of ${totalLength} bytes`)
  }
  if (bytes[100] !== visibility) return `segment_visibility is ${bytes[100]}, its records have ${visibility}`
  return undefined
}
