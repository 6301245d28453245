import { AslError, isAslError, type Sha256 } from '../core/mod.ts'
import { scanPackedBlock, scanRawBlock } from './block-scan.ts'
import { type DiskStore, guarded } from './disk-store.ts'
import type { StoreFs } from './fs.ts'
import { segmentPath, shardOf, shardPath } from './layout.ts'
import { LOG_START, type LogRecord, RECORD_TYPES } from './log-codec.ts'
import {
  BLOCK_ROLES,
  type BlockCollected,
  decodeBlockCollected,
  decodeSegmentBlocks,
  decodeSegmentSeal,
  type SegmentBlocks,
} from './log-payloads.ts'
import { readLog } from './log-reader.ts'
import type { SealedSegment } from './log-state.ts'
import { RecordTable } from './record-table.ts'
import { writeSegment } from './segment-codec.ts'
import { SegmentFile } from './segment-file.ts'

export interface ReindexReport {
  readonly segmentCount: number
  /** Ids of the segments that were missing or damaged and are now as the log says. */
  readonly rebuilt: readonly number[]
}

export interface ReindexOptions {
  /** Also segments whose file is as it should be. */
  readonly isForced?: boolean
  readonly onSegment?: (segmentId: number, done: number, total: number) => void
}

/**
 * Makes lost segments again from the log and the blocks, to the very byte: the log's hash decides. The store is as good
 * as before afterwards; open it anew to write to it.
 * @throws AslError INDEX_SEGMENT_MISSING when a segment cannot be made again, because a block of it is lost or damaged
 */
export function reindexStore(store: DiskStore, options: ReindexOptions = {}): ReindexReport {
  const { fs } = store.requireWriting()
  return guarded(`Cannot rebuild the index of "${store.location}"`, () => {
    const lock = fs.lock(store.paths.lock, 0)
    try {
      const sources = readSources(store)
      const rebuilt: number[] = []
      for (const [i, sealed] of sources.segments.entries()) {
        if (options.isForced === true || !isGood(store, sealed)) {
          rebuildSegment(store, fs, sealed, sources)
          rebuilt.push(sealed.segmentId)
        }
        options.onSegment?.(sealed.segmentId, i + 1, sources.segments.length)
      }
      return { segmentCount: sources.segments.length, rebuilt }
    } finally {
      lock.release()
    }
  })
}

/** What the log says about how each segment was made. */
interface Sources {
  readonly segments: SealedSegment[]
  readonly blocksOf: Map<number, SegmentBlocks>
  readonly collected: Map<string, BlockCollected>
}

function readSources(store: DiskStore): Sources {
  const sources: Sources = { segments: [], blocksOf: new Map(), collected: new Map() }
  const end = readLog(store.fs, store.paths.log, LOG_START, (record: LogRecord) => {
    if (record.type === RECORD_TYPES.SEGMENT_SEAL) {
      sources.segments.push({ ...decodeSegmentSeal(record), logseq: record.logseq })
    } else if (record.type === RECORD_TYPES.SEGMENT_BLOCKS) {
      const blocks = decodeSegmentBlocks(record)
      sources.blocksOf.set(blocks.segmentId, blocks) // a commit that was cut short may have said so before
    } else if (record.type === RECORD_TYPES.BLOCK_COLLECTED) {
      const collected = decodeBlockCollected(record)
      sources.collected.set(collected.blockId, collected)
    }
  })
  if (end.tail === 'broken') {
    throw new AslError('LOG_CHAIN_BROKEN', `${store.paths.log}: ${end.reason}, and records follow it`, {
      hint: 'Restore the log from a copy first: the index is made from it.',
    })
  }
  return sources
}

function isGood(store: DiskStore, sealed: SealedSegment): boolean {
  const path = segmentPath(store.paths, sealed.segmentId)
  store.files.forget(path)
  try {
    SegmentFile.open(store.files, path, sealed)
    return true
  } catch (error) {
    if (isAslError(error, 'INDEX_SEGMENT_MISSING', 'INDEX_SEGMENT_HASH', 'INDEX_SEGMENT_INVALID')) return false
    throw error
  }
}

function rebuildSegment(store: DiskStore, fs: StoreFs, sealed: SealedSegment, sources: Sources): void {
  const path = segmentPath(store.paths, sealed.segmentId)
  const known = sources.blocksOf.get(sealed.segmentId)
  const guesses = known === undefined ? guessBlocks(store, sealed, sources) : [known]
  for (const guess of guesses) {
    if (tryRebuild(store, fs, sealed, guess, sources, path)) return
  }
  throw new AslError(
    'INDEX_SEGMENT_MISSING',
    `Segment ${sealed.segmentId} cannot be made again: its blocks give another one`,
    {
      hint: "'asl check' names the blocks that are lost or damaged.",
      details: { segment: sealed.segmentId, wanted: sealed.segmentHash },
    },
  )
}

function tryRebuild(
  store: DiskStore,
  fs: StoreFs,
  sealed: SealedSegment,
  source: SegmentBlocks,
  sources: Sources,
  path: string,
): boolean {
  const records = new RecordTable()
  for (const [number, block] of source.blocks.entries()) addBlock(store, records, block, number, sources)
  fs.unlink(`${path}.tmp`)
  const fd = fs.create(`${path}.tmp`, 0o444)
  let found: Sha256
  try {
    const options = {
      shardId: shardOf(sealed.segmentId),
      snapshotMin: source.snapshotMin,
      domainNum: store.config.domainNum,
      blockIds: source.blocks.map(block => Buffer.from(block.blockId, 'hex')),
    }
    found = writeSegment(records, options, (bytes, position) => fs.pwrite(fd, bytes, position)).segmentHash
    fs.fsync(fd)
  } finally {
    fs.close(fd)
  }
  if (found !== sealed.segmentHash) {
    fs.unlink(`${path}.tmp`)
    return false
  }
  fs.rename(`${path}.tmp`, path)
  fs.fsyncFolder(shardPath(store.paths, shardOf(sealed.segmentId)))
  store.files.forget(path)
  return true
}

/** A block that gc has removed is known by what the log kept of it. */
function addBlock(
  store: DiskStore,
  records: RecordTable,
  source: { readonly blockId: string; readonly roles: number },
  number: number,
  sources: Sources,
): void {
  const { blockId, roles } = source
  const collected = sources.collected.get(blockId)
  const block = collected === undefined ? store.blocks.open(blockId) : store.blocks.tryOpen(blockId)
  if (block === undefined) {
    for (const artifact of collected?.artifacts ?? []) {
      const isWanted = (roles & (artifact.isContent ? BLOCK_ROLES.raw : BLOCK_ROLES.packed)) !== 0
      const headerBytes = artifact.typeTag === undefined ? 9 : 13
      const totalLength = artifact.isContent ? artifact.length + headerBytes : artifact.length
      if (isWanted) records.add(artifact.digest, { ...artifact, totalLength, block: number })
    }
    return
  }
  if ((roles & BLOCK_ROLES.packed) !== 0) {
    for (const { digest, ...row } of scanPackedBlock(block)) records.add(digest, { ...row, block: number })
  }
  if ((roles & BLOCK_ROLES.raw) !== 0) {
    const { digest, ...row } = scanRawBlock(block)
    records.add(digest, { ...row, block: number })
  }
}

/**
 * An image store has one segment, over all its blocks, and no record that lists them. Packed or raw is told from the
 * block itself; content that happens to look like a packed block is why there may be several answers to try.
 */
function guessBlocks(store: DiskStore, sealed: SealedSegment, sources: Sources): SegmentBlocks[] {
  if (sources.segments.length !== 1) return []
  const ids = listBlockIds(store)
  const looksPacked = new Set(ids.filter(blockId => isPackedBlock(store, blockId)))
  const roles = [BLOCK_ROLES.packed, BLOCK_ROLES.raw, BLOCK_ROLES.packed | BLOCK_ROLES.raw]
  return roles.map(role => ({
    segmentId: sealed.segmentId,
    snapshotMin: 0,
    blocks: ids.map(blockId => ({
      blockId,
      // Small blocks cannot be raw: what is not larger than small_max is packed.
      roles: !looksPacked.has(blockId) ? BLOCK_ROLES.raw : isTooSmallForRaw(store, blockId) ? BLOCK_ROLES.packed : role,
    })),
  }))
}

/** Ids of all sealed blocks, ascending, in whichever form they lie. */
export function listBlockIds(store: Pick<DiskStore, 'fs' | 'paths'>): string[] {
  const ids: string[] = []
  for (const folder of store.fs.readdir(store.paths.sealedBlocks)) {
    for (const name of store.fs.readdir(`${store.paths.sealedBlocks}/${folder}`)) {
      const id = /^([0-9a-f]{64})\.blk(\.zst)?$/.exec(name)?.[1]
      if (id?.startsWith(folder) === true) ids.push(id)
    }
  }
  return ids.sort()
}

function isPackedBlock(store: DiskStore, blockId: string): boolean {
  try {
    for (const _ of scanPackedBlock(store.blocks.open(blockId)));
    return true
  } catch (error) {
    if (isAslError(error, 'ARTIFACT_INVALID')) return false
    throw error
  }
}

function isTooSmallForRaw(store: DiskStore, blockId: string): boolean {
  return store.blocks.open(blockId).sizeBytes <= store.config.smallMaxBytes
}
