import { createHash } from 'node:crypto'
import { AslError, hexOf } from '../core/mod.ts'

/**
 * The log on disk (ENC/ASL-LOG/1, reference §5): little-endian, packed.
 *
 *     header   magic "ASLLOG01" | version u32 = 1 | header_size u32 = 24 | flags u64 = 0
 *     record   logseq u64 | record_type u32 | payload_len u32 | payload | record_hash 32
 *
 * `record_hash = SHA-256(previous record_hash || everything of this record before it)`; 32 zero bytes before the first.
 */
export const LOG_HEADER_SIZE_BYTES = 24
export const RECORD_HEADER_SIZE_BYTES = 16
export const RECORD_HASH_SIZE_BYTES = 32
/** Above this no record of ours comes; a foreign one is refused before memory is taken for it. */
export const LONGEST_PAYLOAD_BYTES = 1024 ** 3

export const RECORD_TYPES = {
  SEGMENT_SEAL: 0x01,
  TOMBSTONE: 0x10,
  TOMBSTONE_LIFT: 0x11,
  SNAPSHOT_ANCHOR: 0x20,
  ARTIFACT_PUBLISH: 0x30,
  ARTIFACT_UNPUBLISH: 0x31,
  /** Ours: which blocks a segment was made from, so that a lost segment can be made again. */
  SEGMENT_BLOCKS: 0x80000001,
  /** Ours: `gc` removed a block; its artifacts, so that the segments which name it can still be made again. */
  BLOCK_COLLECTED: 0x80000002,
  /** Ours: retention removed a snapshot's folder. */
  SNAPSHOT_REMOVED: 0x80000003,
  /** Ours: the raw hash of `meta/store.json`, so that the chain covers it. */
  STORE_CONFIG: 0x80000004,
} as const

export interface LogRecord {
  readonly logseq: number
  readonly type: number
  readonly payload: Buffer
  readonly hash: Buffer
  /** Where the record starts in the file. */
  readonly offset: number
}

/** A place between two records: where the next one begins, and what it must continue. */
export interface LogPosition {
  readonly offset: number
  readonly logseq: number
  readonly hash: Buffer
}

export const LOG_START: LogPosition = { offset: LOG_HEADER_SIZE_BYTES, logseq: 0, hash: Buffer.alloc(32) }

export function encodeLogHeader(): Buffer {
  const header = Buffer.alloc(LOG_HEADER_SIZE_BYTES)
  header.write('ASLLOG01', 'latin1')
  header.writeUInt32LE(1, 8)
  header.writeUInt32LE(LOG_HEADER_SIZE_BYTES, 12)
  return header
}

/** @throws AslError LOG_CHAIN_BROKEN for another header, STORE_UNSUPPORTED for a newer version */
export function checkLogHeader(header: Buffer, path: string): void {
  if (header.equals(encodeLogHeader())) return
  const version = header.length >= 12 ? header.readUInt32LE(8) : 0
  if (header.subarray(0, 8).toString('latin1') === 'ASLLOG01' && header.length >= 12 && version !== 1) {
    throw new AslError('STORE_UNSUPPORTED', `${path} has log version ${version}, this program knows 1`)
  }
  throw new AslError('LOG_CHAIN_BROKEN', `${path} does not start with the header of a log: ${hexOf(header)}`)
}

export function encodeLogRecord(after: LogPosition, type: number, payload: Uint8Array): Buffer {
  const record = Buffer.alloc(RECORD_HEADER_SIZE_BYTES + payload.length + RECORD_HASH_SIZE_BYTES)
  record.writeBigUInt64LE(BigInt(after.logseq + 1), 0)
  record.writeUInt32LE(type, 8)
  record.writeUInt32LE(payload.length, 12)
  record.set(payload, RECORD_HEADER_SIZE_BYTES)
  const hashed = record.subarray(0, record.length - RECORD_HASH_SIZE_BYTES)
  createHash('sha256').update(after.hash).update(hashed).digest().copy(record, hashed.length)
  return record
}

export function positionAfter(record: LogRecord): LogPosition {
  return {
    offset: record.offset + RECORD_HEADER_SIZE_BYTES + record.payload.length + RECORD_HASH_SIZE_BYTES,
    logseq: record.logseq,
    hash: record.hash,
  }
}
