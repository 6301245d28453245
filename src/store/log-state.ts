import type { Sha256 } from '../core/mod.ts'
import { LOG_START, type LogPosition, type LogRecord, positionAfter, RECORD_TYPES } from './log-codec.ts'
import {
  decodeArtifactRef,
  decodeCollectedBlockId,
  decodeSegmentSeal,
  decodeSnapshotAnchor,
  decodeSnapshotRemoved,
  decodeStoreConfigHash,
  decodeTombstone,
  decodeTombstoneLift,
} from './log-payloads.ts'

export interface SealedSegment {
  readonly segmentId: number
  readonly segmentHash: Sha256
  /** The record that made it visible. */
  readonly logseq: number
}

export interface AnchoredSnapshot {
  readonly snapshotId: number
  readonly rootHash: Sha256
  /** The snapshot holds everything up to and with the record before this one. */
  readonly logseq: number
}

export interface HiddenArtifact {
  readonly logseq: number
  readonly reason: number
}

/** What the records up to {@link LogState.position} say. The log is the truth: everything else can be made from it. */
export interface LogState {
  position: LogPosition
  /** In seal order. */
  readonly segments: SealedSegment[]
  /** Digest → the tombstone that counts. */
  readonly tombstones: Map<string, HiddenArtifact>
  /** Digest → effective visibility, where the log overrides the index record. */
  readonly published: Map<string, boolean>
  /** By id; those that retention has removed are marked in {@link LogState.removedSnapshots}. */
  readonly snapshots: Map<number, AnchoredSnapshot>
  readonly removedSnapshots: Set<number>
  /** Blocks that `gc` has removed; one may have come back since. */
  readonly collectedBlocks: Set<string>
  configHash: Sha256 | undefined
}

export function emptyLogState(): LogState {
  return {
    position: LOG_START,
    segments: [],
    tombstones: new Map(),
    published: new Map(),
    snapshots: new Map(),
    removedSnapshots: new Set(),
    collectedBlocks: new Set(),
    configHash: undefined,
  }
}

/** @throws AslError LOG_CHAIN_BROKEN for a payload that is not what its type says; unknown types are passed over */
export function applyLogRecord(state: LogState, record: LogRecord): void {
  switch (record.type) {
    case RECORD_TYPES.SEGMENT_SEAL:
      state.segments.push({ ...decodeSegmentSeal(record), logseq: record.logseq })
      break
    case RECORD_TYPES.TOMBSTONE: {
      const tombstone = decodeTombstone(record)
      if (tombstone !== undefined) {
        state.tombstones.set(tombstone.digest, { logseq: record.logseq, reason: tombstone.reason })
      }
      break
    }
    case RECORD_TYPES.TOMBSTONE_LIFT: {
      const lift = decodeTombstoneLift(record)
      if (lift !== undefined && state.tombstones.get(lift.digest)?.logseq === lift.tombstoneLogseq) {
        state.tombstones.delete(lift.digest)
      }
      break
    }
    case RECORD_TYPES.SNAPSHOT_ANCHOR: {
      const anchor = decodeSnapshotAnchor(record)
      state.snapshots.set(anchor.snapshotId, { ...anchor, logseq: record.logseq })
      break
    }
    case RECORD_TYPES.ARTIFACT_PUBLISH:
    case RECORD_TYPES.ARTIFACT_UNPUBLISH: {
      const digest = decodeArtifactRef(record)
      if (digest !== undefined) state.published.set(digest, record.type === RECORD_TYPES.ARTIFACT_PUBLISH)
      break
    }
    case RECORD_TYPES.SNAPSHOT_REMOVED:
      state.removedSnapshots.add(decodeSnapshotRemoved(record))
      break
    case RECORD_TYPES.BLOCK_COLLECTED:
      state.collectedBlocks.add(decodeCollectedBlockId(record))
      break
    case RECORD_TYPES.STORE_CONFIG:
      state.configHash = decodeStoreConfigHash(record)
      break
  }
  state.position = positionAfter(record)
}

export function newestSnapshot(state: LogState): AnchoredSnapshot | undefined {
  let newest: AnchoredSnapshot | undefined
  for (const snapshot of state.snapshots.values()) {
    if (newest === undefined || snapshot.snapshotId > newest.snapshotId) newest = snapshot
  }
  return newest
}

/** Ids count from 0 and are never given twice. */
export function nextSnapshotId(state: LogState): number {
  const newest = newestSnapshot(state)
  return newest === undefined ? 0 : newest.snapshotId + 1
}
