import { AslError, messageOf, type TypeTag } from '../core/mod.ts'
import { Batch } from './batch.ts'
import { DiskStore, guarded } from './disk-store.ts'
import { readWholeFile } from './fs.ts'
import { blockFolder } from './layout.ts'
import { RECORD_TYPES } from './log-codec.ts'
import { type CollectedArtifact, encodeBlockCollected } from './log-payloads.ts'
import { writeNewFile } from './recovery.ts'
import { listBlockIds } from './reindex.ts'
import type { Extent, SegmentRecord } from './segment-file.ts'
import { listSnapshots } from './snapshots.ts'
import type { WriteAccess } from './write-access.ts'

export interface GcOptions {
  readonly nowMs: number
  /**
   * How long a block stays after it was first seen to be garbage, so that readers at an older state can finish.
   * 0 removes at once. Default 24 hours.
   */
  readonly graceMs?: number
  /** A block with live artifacts is copied when at least this part of it is dead. Default 0.5. */
  readonly leastDeadShare?: number
  readonly onBlock?: (blockId: string, sizeBytes: number) => void
}

export interface GcReport {
  readonly removed: readonly string[]
  readonly freedBytes: number
  /** Live artifacts that were written to new blocks. */
  readonly copiedBytes: number
  /** Blocks that are garbage and wait for the end of their grace. */
  readonly waiting: readonly string[]
}

const DEFAULT_GRACE_MS = 24 * 60 * 60 * 1000

/**
 * Removes blocks in which no newest-first resolution ends, neither in CURRENT nor in a pinned snapshot (reference §4),
 * in two phases: a block is first written down as a candidate, and removed by a later run when its grace is over and it
 * is garbage still. Segments and log stay; the log keeps what is needed to make the segments again.
 */
export function collectGarbage(store: DiskStore, options: GcOptions): GcReport {
  const access = store.requireWriting()
  return guarded(`Cannot collect garbage in "${store.location}"`, () =>
    access.alone(() => {
      const usage = measureUsage(store, options.leastDeadShare ?? 0.5)
      const candidates = updateCandidates(store, access, [...usage.dead, ...usage.mixed], options.nowMs)
      const isDue = (blockId: string): boolean =>
        options.nowMs - (candidates.get(blockId) ?? options.nowMs) >= (options.graceMs ?? DEFAULT_GRACE_MS)
      const mixed = usage.mixed.filter(isDue)
      const copiedBytes = mixed.length === 0 ? 0 : copySurvivors(store, access, new Set(mixed))
      // What survived may lie again in a block that was dead until now, when its bytes are the same.
      const revived = copiedBytes === 0 ? new Set<string>() : (store.index.segments.at(-1)?.blockIds() ?? new Set())
      const removed = [...usage.dead.filter(isDue), ...mixed].filter(blockId => !revived.has(blockId))
      const freedBytes = removeBlocks(store, access, removed, options)
      const gone = new Set([...removed, ...revived])
      const waiting = [...candidates.keys()].filter(blockId => !gone.has(blockId)).sort()
      writeCandidates(store, access, new Map(waiting.map(blockId => [blockId, candidates.get(blockId) as number])))
      return { removed, freedBytes, copiedBytes, waiting }
    }),
  )
}

interface Usage {
  /** No live artifact in any kept state. */
  readonly dead: string[]
  /** Live artifacts of CURRENT only, few enough that copying them is worth it. */
  readonly mixed: string[]
}

function measureUsage(store: DiskStore, leastDeadShare: number): Usage {
  const live = new Map<string, number>()
  const kept = new Set<string>()
  forEachLiveExtent(store, (extent, record) => {
    live.set(extent.blockId, (live.get(extent.blockId) ?? 0) + extent.length)
    if (record.isContent) kept.add(extent.blockId) // raw blocks and chunks are not copied: all or nothing
  })
  for (const { snapshotId, logPrefix, pin } of listSnapshots(store)) {
    if (pin === undefined) continue
    const view = new DiskStore(store.location, store.fs, undefined, { logPrefix })
    try {
      if (view.damage[0] !== undefined) throw view.damage[0]
      forEachLiveExtent(view, extent => kept.add(extent.blockId))
    } catch (error) {
      throw new AslError(
        'SNAPSHOT_INVALID',
        `Snapshot ${snapshotId} is pinned and cannot be read: ${messageOf(error)}`,
        {
          cause: error,
        },
      )
    } finally {
      view.close()
    }
  }
  const usage: Usage = { dead: [], mixed: [] }
  for (const blockId of listBlockIds(store)) {
    const liveBytes = live.get(blockId)
    if (kept.has(blockId)) continue
    if (liveBytes === undefined) usage.dead.push(blockId)
    else if (liveBytes <= store.blocks.open(blockId).sizeBytes * (1 - leastDeadShare)) usage.mixed.push(blockId)
  }
  return usage
}

function forEachLiveExtent(store: DiskStore, visit: (extent: Extent, record: SegmentRecord) => void): void {
  for (const artifact of store.index.artifacts()) {
    if (store.isHidden(artifact)) continue
    for (const extent of artifact.extents()) visit(extent, artifact)
  }
}

/** The same content in a new block and a newer segment, which then wins. */
function copySurvivors(store: DiskStore, access: WriteAccess, doomed: ReadonlySet<string>): number {
  let copiedBytes = 0
  const batch = new Batch(store, access, doomed)
  try {
    for (const artifact of store.index.artifacts()) {
      if (store.isHidden(artifact) || !artifact.extents().some(extent => doomed.has(extent.blockId))) continue
      batch.put(store.read(artifact.reference), artifact.typeTag)
      copiedBytes += artifact.totalLength
    }
    batch.commit()
  } finally {
    batch.abort()
  }
  return copiedBytes
}

function removeBlocks(store: DiskStore, access: WriteAccess, blockIds: readonly string[], options: GcOptions): number {
  let freedBytes = 0
  const entries = entriesOf(store, new Set(blockIds))
  const folders = new Set<string>()
  for (const blockId of blockIds) {
    const artifacts = entries.get(blockId)
    if (artifacts !== undefined) {
      access.append(RECORD_TYPES.BLOCK_COLLECTED, encodeBlockCollected({ blockId, artifacts }))
    }
    const path = store.blocks.path(blockId)
    for (const form of [path, `${path}.zst`]) {
      const sizeBytes = access.fs.stat(form)?.sizeBytes
      if (sizeBytes === undefined) continue
      freedBytes += sizeBytes
      access.fs.unlink(form)
      options.onBlock?.(blockId, sizeBytes)
    }
    store.blocks.forget(blockId)
    folders.add(blockFolder(store.paths, blockId))
  }
  for (const folder of folders) access.fs.fsyncFolder(folder)
  return freedBytes
}

/** Everything that any segment says lies in these blocks. */
function entriesOf(store: DiskStore, blockIds: ReadonlySet<string>): Map<string, CollectedArtifact[]> {
  const found = new Map<string, Map<string, CollectedArtifact>>()
  for (const segment of store.index.segments) {
    let index = -1
    for (const record of segment.records(0, segment.recordCount)) {
      index++
      if (record.isTombstone) continue
      for (const extent of segment.extents(record)) {
        if (!blockIds.has(extent.blockId)) continue
        const digest = segment.digests(index, index + 1)
        const artifact = collectedArtifact(digest, record, extent)
        const key = `${artifact.isContent} ${artifact.offset}`
        const block = found.get(extent.blockId)
        if (block === undefined) found.set(extent.blockId, new Map([[key, artifact]]))
        else block.set(key, artifact)
      }
    }
  }
  const inOrder = (a: CollectedArtifact, b: CollectedArtifact): number => a.offset - b.offset
  return new Map([...found].map(([blockId, artifacts]) => [blockId, [...artifacts.values()].sort(inOrder)]))
}

function collectedArtifact(digest: Buffer, record: SegmentRecord, extent: Extent): CollectedArtifact {
  const typeTag: TypeTag | undefined = record.typeTag
  return {
    digest: Buffer.from(digest),
    typeTag,
    isContent: record.isContent,
    offset: extent.offset,
    length: extent.length,
  }
}

/** Block id → when it was first seen to be garbage. Losing the file only starts the wait again. */
type Candidates = Map<string, number>

interface CandidateFile {
  readonly log_position: number
  readonly blocks: readonly { readonly id: string; readonly since_ms: number }[]
}

function updateCandidates(
  store: DiskStore,
  access: WriteAccess,
  garbage: readonly string[],
  nowMs: number,
): Candidates {
  const known = readCandidates(store)
  const candidates: Candidates = new Map(garbage.map(blockId => [blockId, known.get(blockId) ?? nowMs]))
  writeCandidates(store, access, candidates)
  return candidates
}

function readCandidates(store: DiskStore): Candidates {
  const path = store.paths.gcCandidates
  if (store.fs.stat(path) === undefined) return new Map()
  try {
    const file = JSON.parse(readWholeFile(store.fs, path, 1024 ** 3).toString('utf8')) as CandidateFile
    return new Map(file.blocks.map(({ id, since_ms }) => [id, since_ms]))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return new Map()
    throw error
  }
}

function writeCandidates(store: DiskStore, access: WriteAccess, candidates: Candidates): void {
  const { fs } = access
  const path = store.paths.gcCandidates
  const file: CandidateFile = {
    log_position: store.log.position.logseq,
    blocks: [...candidates].map(([id, since_ms]) => ({ id, since_ms })),
  }
  fs.unlink(`${path}.tmp`)
  writeNewFile(fs, `${path}.tmp`, Buffer.from(`${JSON.stringify(file)}\n`), 0o644)
  fs.rename(`${path}.tmp`, path)
}
