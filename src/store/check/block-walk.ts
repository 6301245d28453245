import { createHash } from 'node:crypto'
import { hexOf, isAslError, messageOf, type Reference } from '../../core/mod.ts'
import type { BlockSource } from '../block-source.ts'
import type { CachedFile } from '../file-cache.ts'
import { sortDigests } from '../record-table.ts'
import type { Findings } from './report.ts'
import { type ExtentRows, ROW_FLAGS } from './segment-walk.ts'

const PIECE_BYTES = 1 << 20
/** Blocks up to this size are read once and looked at from memory. */
const LARGEST_IN_MEMORY_BYTES = 32 << 20

export interface BlockWalk {
  readonly findings: Findings
  readonly blocks: BlockSource
  readonly rows: ExtentRows
  /** 1 for rows whose artifact is visible and resolves to them. */
  readonly live: Uint8Array
  readonly damagedBlocks: string[]
  readonly collectedBlocks: ReadonlySet<string>
}

/** Which rows count: of several records for one artifact the newest, unless a later tombstone hides it. */
export function liveRows(
  rows: ExtentRows,
  sealedAt: readonly number[],
  tombstones: ReadonlyMap<string, number>,
): { live: Uint8Array; artifactCount: number } {
  const live = new Uint8Array(rows.count)
  const order = sortDigests(rows.digests, rows.count)
  const digest = (row: number): Buffer => rows.digests.subarray(row * 32, row * 32 + 32)
  let artifactCount = 0
  for (let start = 0; start < order.length; ) {
    const first = digest(order[start] as number)
    let end = start
    let newest = -1
    for (; end < order.length && first.equals(digest(order[end] as number)); end++) {
      newest = Math.max(newest, rows.segments[order[end] as number] as number)
    }
    const hiddenAt = tombstones.size === 0 ? undefined : tombstones.get(hexOf(first))
    if (hiddenAt === undefined || hiddenAt < (sealedAt[newest] as number)) {
      artifactCount++
      for (let i = start; i < end; i++) {
        const row = order[i] as number
        if (rows.segments[row] === newest) live[row] = 1
      }
    }
    start = end
  }
  return { live, artifactCount }
}

/** Row numbers, grouped by block in ascending order of block ids, and by offset inside a block. */
export function rowsByBlock(rows: ExtentRows): Map<string, Uint32Array> {
  const counts = new Uint32Array(rows.blockIds.length)
  for (let row = 0; row < rows.count; row++) increment(counts, rows.blocks[row] as number)
  const groups = Array.from(counts, count => new Uint32Array(count))
  const filled = new Uint32Array(counts.length)
  for (let row = 0; row < rows.count; row++) {
    const block = rows.blocks[row] as number
    const group = groups[block] as Uint32Array
    group[increment(filled, block)] = row
  }
  const offsetOf = (row: number): number => rows.offsets[row] as number
  for (const group of groups) group.sort((a, b) => offsetOf(a) - offsetOf(b))
  const ids = rows.blockIds.map((id, number) => [id, groups[number] as Uint32Array] as const)
  return new Map(ids.sort((a, b) => (a[0] < b[0] ? -1 : 1)))
}

/** Returns the count before. */
function increment(counts: Uint32Array, index: number): number {
  const count = counts[index] as number
  counts[index] = count + 1
  return count
}

/** Re-hashes one block and derives every artifact in it again. Returns the number of bytes read. */
export function walkBlock(walk: BlockWalk, blockId: string, group: Uint32Array): number {
  const path = walk.blocks.path(blockId)
  const damaged = (
    code: 'STORE_BLOCK_INVALID' | 'STORE_IO',
    reason: string,
    references: readonly Reference[],
  ): void => {
    walk.findings.add(code, path, reason, { references, blockId })
    walk.damagedBlocks.push(blockId)
  }
  let block: CachedFile | undefined
  try {
    block = walk.blocks.tryOpen(blockId)
    if (block === undefined) {
      reportMissing(walk, blockId, group)
      return 0
    }
    const { actual, bad } = readBlock(walk, block, group)
    if (actual !== blockId) {
      damaged('STORE_BLOCK_INVALID', `sha256 is ${actual}`, liveReferences(walk, bad))
    } else if (bad.length > 0) {
      walk.findings.add('STORE_INTEGRITY', path, `${bad.length} artifacts in it hash otherwise than the index says`, {
        references: bad.map(row => referenceOf(walk.rows, row)),
        blockId,
      })
    }
    return block.sizeBytes
  } catch (error) {
    if (isAslError(error, 'STORE_BLOCK_INVALID')) {
      damaged('STORE_BLOCK_INVALID', error.message, liveReferences(walk, group))
      return block?.sizeBytes ?? 0
    }
    if (!(error instanceof Error && 'syscall' in error)) throw error
    damaged('STORE_IO', `cannot be read: ${messageOf(error)}`, liveReferences(walk, group))
    return 0
  }
}

function reportMissing(walk: BlockWalk, blockId: string, group: Uint32Array): void {
  const references = liveReferences(walk, group)
  if (references.length === 0 && walk.collectedBlocks.has(blockId)) return
  const path = walk.blocks.path(blockId)
  walk.findings.add('STORE_BLOCK_MISSING', path, 'the index names this block', { references, blockId })
  walk.damagedBlocks.push(blockId)
}

function readBlock(walk: BlockWalk, block: CachedFile, group: Uint32Array): { actual: string; bad: number[] } {
  const whole = block.sizeBytes <= LARGEST_IN_MEMORY_BYTES ? Buffer.allocUnsafe(block.sizeBytes) : undefined
  const bad: number[] = []
  if (whole === undefined) {
    const hash = createHash('sha256')
    forEachPiece(block, 0, block.sizeBytes, piece => hash.update(piece))
    for (const row of group) {
      if (!isWhole(walk.rows, row)) continue
      const artifact = artifactHash(walk.rows, row)
      const isInside = isInBlock(walk.rows, row, block.sizeBytes)
      if (isInside)
        forEachPiece(block, offsetOf(walk.rows, row), lengthOf(walk.rows, row), piece => artifact.update(piece))
      if (!isInside || !isDigest(walk.rows, row, artifact.digest())) bad.push(row)
    }
    return { actual: hash.digest('hex'), bad }
  }
  const bytes = whole.subarray(0, block.read(whole, 0))
  for (const row of group) {
    if (!isWhole(walk.rows, row)) continue
    const [offset, length] = [offsetOf(walk.rows, row), lengthOf(walk.rows, row)]
    const isInside = isInBlock(walk.rows, row, bytes.length)
    const hash = artifactHash(walk.rows, row)
    if (!isInside || !isDigest(walk.rows, row, hash.update(bytes.subarray(offset, offset + length)).digest()))
      bad.push(row)
    else if (!startsWithHeader(walk.rows, row, bytes.subarray(offset, offset + length))) bad.push(row)
  }
  return { actual: createHash('sha256').update(bytes).digest('hex'), bad }
}

/** Artifacts that are put together from several extents: chunks, or parts. Called when every block has been read. */
export function walkJoinedArtifacts(walk: BlockWalk): void {
  const { rows } = walk
  for (let first = 0; first < rows.count; first++) {
    if (isWhole(rows, first) || ((rows.flags[first] as number) & ROW_FLAGS.isFirst) === 0) continue
    const hash = artifactHash(rows, first)
    let row = first
    for (; ; row++) {
      const block = walk.blocks.tryOpen(rows.blockIds[rows.blocks[row] as number] as string)
      if (block === undefined || !isInBlock(rows, row, block.sizeBytes)) break // reported with its block
      forEachPiece(block, offsetOf(rows, row), lengthOf(rows, row), piece => hash.update(piece))
      if (((rows.flags[row] as number) & ROW_FLAGS.isLast) === 0) continue
      if (!isDigest(rows, first, hash.digest())) {
        const reference = referenceOf(rows, first)
        const path = walk.blocks.path(rows.blockIds[rows.blocks[first] as number] as string)
        walk.findings.add(
          'STORE_INTEGRITY',
          path,
          `${reference}, put together from several extents, hashes otherwise`,
          {
            references: [reference],
          },
        )
      }
      break
    }
  }
}

function liveReferences(walk: BlockWalk, group: Iterable<number>): Reference[] {
  const references: Reference[] = []
  for (const row of group) if (walk.live[row] === 1) references.push(referenceOf(walk.rows, row))
  return references
}

function referenceOf(rows: ExtentRows, row: number): Reference {
  return `0001${rows.digests.toString('hex', row * 32, row * 32 + 32)}` as Reference
}

function isWhole(rows: ExtentRows, row: number): boolean {
  const both = ROW_FLAGS.isFirst | ROW_FLAGS.isLast
  return ((rows.flags[row] as number) & both) === both
}

/** For plain content the header is implied, and hashed as if it were there. */
function artifactHash(rows: ExtentRows, row: number): ReturnType<typeof createHash> {
  const hash = createHash('sha256')
  if (((rows.flags[row] as number) & ROW_FLAGS.isContent) !== 0) hash.update(headerOf(rows, row))
  return hash
}

function headerOf(rows: ExtentRows, row: number): Buffer {
  const isTagged = ((rows.flags[row] as number) & ROW_FLAGS.hasTag) !== 0
  const header = Buffer.alloc(isTagged ? 13 : 9)
  header[0] = isTagged ? 1 : 0
  if (isTagged) header.writeUInt32BE(rows.typeTags[row] as number, 1)
  header.writeBigUInt64BE(BigInt(rows.totalLengths[row] as number) - BigInt(header.length), header.length - 8)
  return header
}

function startsWithHeader(rows: ExtentRows, row: number, bytes: Buffer): boolean {
  if (((rows.flags[row] as number) & ROW_FLAGS.isContent) !== 0) return true
  const header = headerOf(rows, row)
  return bytes.subarray(0, header.length).equals(header)
}

function isDigest(rows: ExtentRows, row: number, digest: Buffer): boolean {
  return rows.digests.subarray(row * 32, row * 32 + 32).equals(digest)
}

function offsetOf(rows: ExtentRows, row: number): number {
  return rows.offsets[row] as number
}

function lengthOf(rows: ExtentRows, row: number): number {
  return rows.lengths[row] as number
}

function isInBlock(rows: ExtentRows, row: number, sizeBytes: number): boolean {
  return offsetOf(rows, row) <= sizeBytes && lengthOf(rows, row) <= sizeBytes - offsetOf(rows, row)
}

function forEachPiece(block: CachedFile, offset: number, length: number, visit: (piece: Buffer) => void): void {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(length, 1)))
  for (let at = 0; at < length; ) {
    const got = block.read(piece.subarray(0, Math.min(piece.length, length - at)), offset + at)
    if (got === 0) return
    visit(piece.subarray(0, got))
    at += got
  }
}
