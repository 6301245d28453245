import type { Reference } from '../core/mod.ts'
import { type DiskStore, guarded } from './disk-store.ts'
import { LOG_START, type LogRecord, RECORD_TYPES } from './log-codec.ts'
import {
  decodeArtifactRef,
  decodeBlockCollected,
  decodeSegmentBlocks,
  decodeSegmentSeal,
  decodeSnapshotAnchor,
  decodeSnapshotRemoved,
  decodeStoreConfigHash,
  decodeTombstone,
  decodeTombstoneLift,
  recordTypeName,
  TOMBSTONE_REASONS,
} from './log-payloads.ts'
import { readLog } from './log-reader.ts'

export interface LoggedRecord {
  readonly logseq: number
  readonly type: number
  /** `SEGMENT_SEAL`, or hex for a type this program does not know. */
  readonly name: string
  readonly recordHash: string
  readonly summary: Readonly<Record<string, number | string | undefined>>
}

/** Records from `from` on, up to where the chain stops. */
export function listLog(store: DiskStore, from = 1, limit = Number.POSITIVE_INFINITY): LoggedRecord[] {
  return guarded(`Cannot read the log of "${store.location}"`, () => {
    const records: LoggedRecord[] = []
    readLog(store.fs, store.paths.log, LOG_START, record => {
      if (record.logseq < from || records.length >= limit) return
      records.push({
        logseq: record.logseq,
        type: record.type,
        name: recordTypeName(record.type),
        recordHash: record.hash.toString('hex'),
        summary: summarise(record),
      })
    })
    return records
  })
}

function summarise(record: LogRecord): LoggedRecord['summary'] {
  switch (record.type) {
    case RECORD_TYPES.SEGMENT_SEAL: {
      const { segmentId, segmentHash } = decodeSegmentSeal(record)
      return { segment_id: segmentId, segment_hash: segmentHash }
    }
    case RECORD_TYPES.SEGMENT_BLOCKS: {
      const { segmentId, blocks } = decodeSegmentBlocks(record)
      return { segment_id: segmentId, blocks: blocks.length }
    }
    case RECORD_TYPES.TOMBSTONE: {
      const tombstone = decodeTombstone(record)
      return { ref: referenceOf(tombstone?.digest), reason: TOMBSTONE_REASONS[tombstone?.reason ?? 0] }
    }
    case RECORD_TYPES.TOMBSTONE_LIFT: {
      const lift = decodeTombstoneLift(record)
      return { ref: referenceOf(lift?.digest), tombstone_logseq: lift?.tombstoneLogseq }
    }
    case RECORD_TYPES.SNAPSHOT_ANCHOR: {
      const { snapshotId, rootHash } = decodeSnapshotAnchor(record)
      return { snapshot_id: snapshotId, root_hash: rootHash }
    }
    case RECORD_TYPES.SNAPSHOT_REMOVED:
      return { snapshot_id: decodeSnapshotRemoved(record) }
    case RECORD_TYPES.ARTIFACT_PUBLISH:
    case RECORD_TYPES.ARTIFACT_UNPUBLISH:
      return { ref: referenceOf(decodeArtifactRef(record)) }
    case RECORD_TYPES.BLOCK_COLLECTED: {
      const { blockId, artifacts } = decodeBlockCollected(record)
      return { block_id: blockId, artifacts: artifacts.length }
    }
    case RECORD_TYPES.STORE_CONFIG:
      return { config_hash: decodeStoreConfigHash(record) }
    default:
      return { payload_bytes: record.payload.length }
  }
}

function referenceOf(digest: string | undefined): Reference | undefined {
  return digest === undefined ? undefined : (`0001${digest}` as Reference)
}
