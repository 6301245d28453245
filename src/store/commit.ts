import type { BlockWriter } from './block-writer.ts'
import type { DiskStore } from './disk-store.ts'
import { segmentId, segmentPath, shardPath } from './layout.ts'
import { RECORD_TYPES } from './log-codec.ts'
import { encodeSegmentBlocks, encodeSegmentSeal, encodeTombstoneLift } from './log-payloads.ts'
import { nextSnapshotId } from './log-state.ts'
import type { RecordTable } from './record-table.ts'
import { type WrittenSegment, writeSegment } from './segment-codec.ts'
import type { WriteAccess } from './write-access.ts'

const SHARD = 0

/**
 * Makes a batch visible (reference §4, write order): blocks on the disk, their names on the disk, the segment on the
 * disk, and then the one log record that is the commit. A crash between any two steps leaves the batch whole or absent.
 */
export function commitBatch(
  store: DiskStore,
  access: WriteAccess,
  blocks: BlockWriter,
  records: RecordTable,
  lifts: ReadonlyMap<string, number>,
): void {
  blocks.sync()
  blocks.publish()
  for (const block of blocks.blocks) store.blocks.forget(block.blockId)
  const id = nextSegmentId(store)
  const snapshotMin = nextSnapshotId(store.log)
  const written = writeSegmentFile(store, access, id, snapshotMin, blocks, records)
  access.append(
    RECORD_TYPES.SEGMENT_BLOCKS,
    encodeSegmentBlocks({ segmentId: id, snapshotMin, blocks: rolesById(blocks) }),
  )
  access.append(RECORD_TYPES.SEGMENT_SEAL, encodeSegmentSeal({ segmentId: id, segmentHash: written.segmentHash }))
  store.addSealedSegment(id)
  // The new records are visible whatever older tombstones say; the lifts tell other readers of the log the same.
  for (const [digest, tombstoneLogseq] of lifts) {
    access.append(RECORD_TYPES.TOMBSTONE_LIFT, encodeTombstoneLift({ digest, tombstoneLogseq }))
  }
}

function writeSegmentFile(
  store: DiskStore,
  access: WriteAccess,
  id: number,
  snapshotMin: number,
  blocks: BlockWriter,
  records: RecordTable,
): WrittenSegment {
  const { fs } = access
  const path = segmentPath(store.paths, id)
  fs.unlink(`${path}.tmp`) // of a commit of this process that failed while another batch stayed open
  const fd = fs.create(`${path}.tmp`, 0o444)
  let written: WrittenSegment
  try {
    const blockIds = blocks.blocks.map(block => Buffer.from(block.blockId, 'hex'))
    const options = { shardId: SHARD, snapshotMin, domainNum: store.config.domainNum, blockIds }
    written = writeSegment(records, options, (bytes, position) => fs.pwrite(fd, bytes, position))
    fs.fsync(fd)
  } finally {
    fs.close(fd)
  }
  fs.rename(`${path}.tmp`, path)
  fs.fsyncFolder(shardPath(store.paths, SHARD))
  return written
}

/** Numbers rise and are never given twice: also that of a segment whose commit was cut short is free again only when unnamed. */
function nextSegmentId(store: DiskStore): number {
  let highest = 0
  for (const { segmentId: id } of store.log.segments) highest = Math.max(highest, id)
  return segmentId(SHARD, highest + 1)
}

/** In order of ids; a block that is both, because a packed block was also put as a file, has both roles. */
function rolesById(blocks: BlockWriter): { blockId: string; roles: number }[] {
  const roles = new Map<string, number>()
  for (const block of blocks.blocks) roles.set(block.blockId, (roles.get(block.blockId) ?? 0) | block.roles)
  return [...roles]
    .map(([blockId, bits]) => ({ blockId, roles: bits }))
    .sort((a, b) => (a.blockId < b.blockId ? -1 : 1))
}
