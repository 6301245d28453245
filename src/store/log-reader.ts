import { createHash } from 'node:crypto'
import type { ReadFs } from './fs.ts'
import {
  checkLogHeader,
  LOG_HEADER_SIZE_BYTES,
  LONGEST_PAYLOAD_BYTES,
  type LogPosition,
  type LogRecord,
  positionAfter,
  RECORD_HASH_SIZE_BYTES,
  RECORD_HEADER_SIZE_BYTES,
} from './log-codec.ts'

export interface LogEnd {
  /** After the last record that continues the chain. */
  readonly position: LogPosition
  /** Size of the file, which is `position.offset` unless the tail is torn or the chain broken. */
  readonly sizeBytes: number
  /**
   * `torn`: what follows is what a crash leaves of one append, and nothing valid lies behind it.
   * `broken`: something valid does, so a record that was acknowledged has changed.
   */
  readonly tail: 'clean' | 'torn' | 'broken'
  readonly reason: string
}

const WINDOW_BYTES = 1 << 20

/**
 * Follows the chain from `from` and hands each record to `onRecord`. Stops at the first record that does not continue it.
 * @throws AslError LOG_CHAIN_BROKEN for a file without a log's header
 */
export function readLog(fs: ReadFs, path: string, from: LogPosition, onRecord: (record: LogRecord) => void): LogEnd {
  const fd = fs.open(path)
  try {
    const sizeBytes = fs.sizeOf(fd)
    const window = openWindow(fs, fd, sizeBytes)
    checkLogHeader(window.read(0, Math.min(LOG_HEADER_SIZE_BYTES, sizeBytes)), path)
    let position = from
    for (;;) {
      if (position.offset === sizeBytes) return { position, sizeBytes, tail: 'clean', reason: '' }
      const record = parseRecord(window, position, sizeBytes)
      if (typeof record === 'string') {
        const isBroken = isFollowedByRecord(window, position, sizeBytes)
        return { position, sizeBytes, tail: isBroken ? 'broken' : 'torn', reason: record }
      }
      onRecord(record)
      position = positionAfter(record)
    }
  } finally {
    fs.close(fd)
  }
}

interface Window {
  /** Bytes of the file; the buffer is good until the next call. The caller keeps within the file. */
  read(offset: number, sizeBytes: number): Buffer
}

function openWindow(fs: ReadFs, fd: number, fileSizeBytes: number): Window {
  let buffer = Buffer.alloc(0)
  let start = 0
  return {
    read(offset, sizeBytes) {
      if (offset < start || offset + sizeBytes > start + buffer.length) {
        buffer = Buffer.alloc(Math.min(Math.max(sizeBytes, WINDOW_BYTES), fileSizeBytes - offset))
        start = offset
        const got = fs.pread(fd, buffer, offset)
        if (got < sizeBytes) throw new Error(`the log ended at ${offset + got} while it was read`)
      }
      return buffer.subarray(offset - start, offset - start + sizeBytes)
    },
  }
}

/** The record that starts at `position`, or the reason why there is none. */
function parseRecord(window: Window, position: LogPosition, sizeBytes: number): LogRecord | string {
  const left = sizeBytes - position.offset
  if (left < RECORD_HEADER_SIZE_BYTES + RECORD_HASH_SIZE_BYTES) return `record at offset ${position.offset} is short`
  const header = window.read(position.offset, RECORD_HEADER_SIZE_BYTES)
  const logseq = header.readBigUInt64LE(0)
  const type = header.readUInt32LE(8)
  const payloadLength = header.readUInt32LE(12)
  const length = RECORD_HEADER_SIZE_BYTES + payloadLength + RECORD_HASH_SIZE_BYTES
  if (length > left || payloadLength > LONGEST_PAYLOAD_BYTES) return `record at offset ${position.offset} is short`
  const bytes = window.read(position.offset, length)
  const stored = bytes.subarray(length - RECORD_HASH_SIZE_BYTES)
  const hash = createHash('sha256')
    .update(position.hash)
    .update(bytes.subarray(0, length - RECORD_HASH_SIZE_BYTES))
    .digest()
  if (!hash.equals(stored)) return `record at offset ${position.offset} does not continue the chain`
  if (logseq <= BigInt(position.logseq) || logseq > BigInt(Number.MAX_SAFE_INTEGER)) {
    return `record at offset ${position.offset} has logseq ${logseq} after ${position.logseq}`
  }
  const payload = Buffer.from(bytes.subarray(RECORD_HEADER_SIZE_BYTES, length - RECORD_HASH_SIZE_BYTES))
  return { logseq: Number(logseq), type, payload, hash, offset: position.offset }
}

/**
 * Whether a whole record lies anywhere behind a place where the chain stops. Each record is preceded by the hash it
 * continues, so one can be recognised without knowing the records before it, wherever a wrong length has led us.
 */
function isFollowedByRecord(window: Window, position: LogPosition, sizeBytes: number): boolean {
  const shortest = RECORD_HEADER_SIZE_BYTES + RECORD_HASH_SIZE_BYTES
  if (isContinuedAfterWrongHash(window, position, sizeBytes)) return true
  const reach = BigInt(position.logseq) + BigInt(Math.ceil((sizeBytes - position.offset) / shortest)) + 1n
  for (let offset = position.offset; offset + shortest <= sizeBytes; offset++) {
    if (offset < LOG_HEADER_SIZE_BYTES + RECORD_HASH_SIZE_BYTES) continue
    const header = window.read(offset, RECORD_HEADER_SIZE_BYTES)
    const logseq = header.readBigUInt64LE(0)
    if (logseq === 0n || logseq > reach) continue
    const previous = Buffer.from(window.read(offset - RECORD_HASH_SIZE_BYTES, RECORD_HASH_SIZE_BYTES))
    const found = parseRecord(window, { offset, logseq: 0, hash: previous }, sizeBytes)
    if (typeof found !== 'string') return true
  }
  return false
}

/** Whether only the stored hash of the record at `position` is wrong: then the next record continues the right one. */
function isContinuedAfterWrongHash(window: Window, position: LogPosition, sizeBytes: number): boolean {
  const left = sizeBytes - position.offset
  if (left < RECORD_HEADER_SIZE_BYTES) return false
  const hashedLength =
    RECORD_HEADER_SIZE_BYTES + window.read(position.offset, RECORD_HEADER_SIZE_BYTES).readUInt32LE(12)
  const offset = position.offset + hashedLength + RECORD_HASH_SIZE_BYTES
  if (hashedLength > LONGEST_PAYLOAD_BYTES || offset >= sizeBytes) return false
  const hash = createHash('sha256').update(position.hash).update(window.read(position.offset, hashedLength)).digest()
  return typeof parseRecord(window, { offset, logseq: 0, hash }, sizeBytes) !== 'string'
}
