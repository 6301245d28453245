import { AslError, HASH_ID_SHA256, hexOf, type Sha256, type TypeTag } from '../core/mod.ts'
import { type LogRecord, RECORD_TYPES } from './log-codec.ts'

/** Payloads of log records (reference §5; the layouts are ours). Digests are hex without the reference's `0001`. */

export interface SegmentSeal {
  readonly segmentId: number
  readonly segmentHash: Sha256
}

export function encodeSegmentSeal(seal: SegmentSeal): Buffer {
  return Buffer.concat([u64(seal.segmentId), Buffer.from(seal.segmentHash, 'hex')])
}

export function decodeSegmentSeal(record: LogRecord): SegmentSeal {
  const payload = sized(record, 40)
  return { segmentId: safe(record, payload.readBigUInt64LE(0)), segmentHash: hexOf(payload.subarray(8)) as Sha256 }
}

/** Why an artifact is hidden. */
export const TOMBSTONE_REASONS = [
  'unspecified',
  'operator',
  'policy',
  'superseded',
  'corrupt',
  'lease expired',
] as const
export type TombstoneReason = (typeof TOMBSTONE_REASONS)[number]

export interface Tombstone {
  readonly digest: string
  readonly reason: number
}

export function encodeTombstone(tombstone: Tombstone): Buffer {
  return Buffer.concat([artifactRef(tombstone.digest), u32(0), u32(tombstone.reason)])
}

/** `undefined` for an artifact of another hash: we never held it. */
export function decodeTombstone(record: LogRecord): Tombstone | undefined {
  const { digest, rest } = takeArtifactRef(record)
  if (rest.length !== 8) throw invalid(record, `has ${rest.length} bytes after the reference, not 8`)
  const scope = rest.readUInt32LE(0)
  if (scope !== 0) throw invalid(record, `has scope ${scope}`)
  return digest === undefined ? undefined : { digest, reason: rest.readUInt32LE(4) }
}

export interface TombstoneLift {
  readonly digest: string
  readonly tombstoneLogseq: number
}

export function encodeTombstoneLift(lift: TombstoneLift): Buffer {
  return Buffer.concat([artifactRef(lift.digest), u64(lift.tombstoneLogseq)])
}

export function decodeTombstoneLift(record: LogRecord): TombstoneLift | undefined {
  const { digest, rest } = takeArtifactRef(record)
  if (rest.length !== 8) throw invalid(record, `has ${rest.length} bytes after the reference, not 8`)
  return digest === undefined ? undefined : { digest, tombstoneLogseq: safe(record, rest.readBigUInt64LE(0)) }
}

export interface SnapshotAnchor {
  readonly snapshotId: number
  readonly rootHash: Sha256
}

export function encodeSnapshotAnchor(anchor: SnapshotAnchor): Buffer {
  return Buffer.concat([u64(anchor.snapshotId), Buffer.from(anchor.rootHash, 'hex')])
}

export function decodeSnapshotAnchor(record: LogRecord): SnapshotAnchor {
  const payload = sized(record, 40)
  return { snapshotId: safe(record, payload.readBigUInt64LE(0)), rootHash: hexOf(payload.subarray(8)) as Sha256 }
}

/** How a segment's records point into a block: at ArtifactBytes, at plain content, or (the same bytes) at both. */
export const BLOCK_ROLES = { packed: 1, raw: 2 } as const

export interface SegmentBlocks {
  readonly segmentId: number
  readonly snapshotMin: number
  readonly blocks: readonly { readonly blockId: string; readonly roles: number }[]
}

export function encodeSegmentBlocks(segment: SegmentBlocks): Buffer {
  const blocks = segment.blocks.flatMap(block => [Buffer.from([block.roles]), Buffer.from(block.blockId, 'hex')])
  return Buffer.concat([u64(segment.segmentId), u64(segment.snapshotMin), u32(segment.blocks.length), ...blocks])
}

export function decodeSegmentBlocks(record: LogRecord): SegmentBlocks {
  const { payload } = record
  if (payload.length < 20) throw invalid(record, `has ${payload.length} bytes, at least 20 are wanted`)
  const count = payload.readUInt32LE(16)
  if (payload.length !== 20 + count * 33) throw invalid(record, `announces ${count} blocks in ${payload.length} bytes`)
  return {
    segmentId: safe(record, payload.readBigUInt64LE(0)),
    snapshotMin: safe(record, payload.readBigUInt64LE(8)),
    blocks: Array.from({ length: count }, (_, i) => {
      const at = 20 + i * 33
      return { roles: payload[at] as number, blockId: hexOf(payload.subarray(at + 1, at + 33)) }
    }),
  }
}

/** One artifact as it lay in a block: enough to write its segment record again. */
export interface CollectedArtifact {
  readonly digest: Buffer
  readonly typeTag: TypeTag | undefined
  /** Extent covers plain content, not ArtifactBytes. */
  readonly isContent: boolean
  readonly offset: number
  readonly length: number
}

export interface BlockCollected {
  readonly blockId: string
  readonly artifacts: readonly CollectedArtifact[]
}

const COLLECTED_SIZE_BYTES = 56

export function encodeBlockCollected(collected: BlockCollected): Buffer {
  const rows = collected.artifacts.map(artifact => {
    const row = Buffer.alloc(COLLECTED_SIZE_BYTES)
    row.set(artifact.digest)
    row.writeBigUInt64LE(BigInt(artifact.offset), 32)
    row.writeBigUInt64LE(BigInt(artifact.length), 40)
    row.writeUInt32LE(artifact.typeTag ?? 0, 48)
    row.writeUInt32LE((artifact.isContent ? 1 : 0) | (artifact.typeTag === undefined ? 0 : 2), 52)
    return row
  })
  return Buffer.concat([Buffer.from(collected.blockId, 'hex'), u32(rows.length), ...rows])
}

/** The id alone, for replay; {@link decodeBlockCollected} gives the artifacts. */
export function decodeCollectedBlockId(record: LogRecord): string {
  if (record.payload.length < 36) throw invalid(record, `has ${record.payload.length} bytes, at least 36 are wanted`)
  return hexOf(record.payload.subarray(0, 32))
}

export function decodeBlockCollected(record: LogRecord): BlockCollected {
  const blockId = decodeCollectedBlockId(record)
  const { payload } = record
  const count = payload.readUInt32LE(32)
  if (payload.length !== 36 + count * COLLECTED_SIZE_BYTES) {
    throw invalid(record, `announces ${count} artifacts in ${payload.length} bytes`)
  }
  return {
    blockId,
    artifacts: Array.from({ length: count }, (_, i) => {
      const row = payload.subarray(36 + i * COLLECTED_SIZE_BYTES, 36 + (i + 1) * COLLECTED_SIZE_BYTES)
      const flags = row.readUInt32LE(52)
      return {
        digest: row.subarray(0, 32),
        offset: safe(record, row.readBigUInt64LE(32)),
        length: safe(record, row.readBigUInt64LE(40)),
        typeTag: (flags & 2) === 0 ? undefined : (row.readUInt32LE(48) as TypeTag),
        isContent: (flags & 1) !== 0,
      }
    }),
  }
}

export function encodeSnapshotRemoved(snapshotId: number): Buffer {
  return u64(snapshotId)
}

export function decodeSnapshotRemoved(record: LogRecord): number {
  return safe(record, sized(record, 8).readBigUInt64LE(0))
}

export function decodeStoreConfigHash(record: LogRecord): Sha256 {
  return hexOf(sized(record, 32)) as Sha256
}

/** The word for a record type: `SEGMENT_SEAL`, or hex for an unknown one. */
export function recordTypeName(type: number): string {
  const known = Object.entries(RECORD_TYPES).find(([, number]) => number === type)
  return known?.[0] ?? `0x${type.toString(16)}`
}

/** `hash_id` u32, `digest_len` u16, `reserved` u16 = 0, digest. */
function artifactRef(digest: string): Buffer {
  const bytes = Buffer.alloc(40)
  bytes.writeUInt32LE(HASH_ID_SHA256, 0)
  bytes.writeUInt16LE(32, 4)
  bytes.write(digest, 8, 'hex')
  return bytes
}

export function encodeArtifactRef(digest: string): Buffer {
  return artifactRef(digest)
}

export function decodeArtifactRef(record: LogRecord): string | undefined {
  const { digest, rest } = takeArtifactRef(record)
  if (rest.length !== 0) throw invalid(record, `has ${rest.length} bytes after the reference`)
  return digest
}

function takeArtifactRef(record: LogRecord): { digest: string | undefined; rest: Buffer } {
  const { payload } = record
  if (payload.length < 8) throw invalid(record, `has ${payload.length} bytes, at least 8 are wanted`)
  const hashId = payload.readUInt32LE(0)
  const end = 8 + payload.readUInt16LE(4)
  if (payload.readUInt16LE(6) !== 0 || payload.length < end) throw invalid(record, 'holds no artifact reference')
  if (hashId === HASH_ID_SHA256 && end !== 40) throw invalid(record, `has a SHA-256 digest of ${end - 8} bytes`)
  return {
    digest: hashId === HASH_ID_SHA256 ? hexOf(payload.subarray(8, end)) : undefined,
    rest: payload.subarray(end),
  }
}

function sized(record: LogRecord, sizeBytes: number): Buffer {
  if (record.payload.length === sizeBytes) return record.payload
  throw invalid(record, `has ${record.payload.length} bytes, not ${sizeBytes}`)
}

function safe(record: LogRecord, value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  throw invalid(record, `holds ${value}, beyond 2^53-1`)
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

/** The chain vouches for the bytes, so whoever wrote them wrote nonsense: the log cannot be followed past it. */
function invalid(record: LogRecord, reason: string): AslError {
  return new AslError(
    'LOG_CHAIN_BROKEN',
    `Log record ${record.logseq} (${recordTypeName(record.type)}) at offset ${record.offset} ${reason}`,
  )
}
