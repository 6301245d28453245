import { createHash } from 'node:crypto'
import { type ReadFs, readWholeFile } from '../fs.ts'
import type { Findings } from './report.ts'

/** What the checker takes from the log, by a reading of its own: the room's log reader is part of what it checks. */
export interface WalkedLog {
  recordCount: number
  /** record_hash by logseq; [0] is the 32 zero bytes before the first. */
  readonly hashes: Buffer[]
  readonly segments: { readonly id: bigint; readonly hash: string; readonly logseq: number }[]
  /** Digest → logseq of the tombstone that counts. */
  readonly tombstones: Map<string, number>
  readonly snapshots: { readonly id: number; readonly rootHash: string; readonly logseq: number }[]
  readonly removedSnapshots: Set<number>
  readonly collectedBlocks: Set<string>
  configHash: string | undefined
}

const HEADER = Buffer.from('41534c4c4f47303101000000180000000000000000000000', 'hex')

export function walkLog(fs: ReadFs, path: string, findings: Findings): WalkedLog {
  const log: WalkedLog = {
    recordCount: 0,
    hashes: [Buffer.alloc(32)],
    segments: [],
    tombstones: new Map(),
    snapshots: [],
    removedSnapshots: new Set(),
    collectedBlocks: new Set(),
    configHash: undefined,
  }
  if (fs.stat(path) === undefined) {
    findings.add('LOG_CHAIN_BROKEN', path, 'there is no log')
    return log
  }
  const bytes = readWholeFile(fs, path, 2 ** 32)
  if (!bytes.subarray(0, HEADER.length).equals(HEADER)) {
    findings.add('LOG_CHAIN_BROKEN', path, `the header is ${bytes.toString('hex', 0, HEADER.length)}`)
    return log
  }
  let at = HEADER.length
  for (; at < bytes.length; log.recordCount++) {
    const record = recordAt(bytes, at, log.hashes[log.recordCount] as Buffer)
    if (record === undefined || record.logseq !== BigInt(log.recordCount + 1)) break
    log.hashes.push(record.hash)
    const problem = applyRecord(log, log.recordCount + 1, record.type, record.payload)
    if (problem !== undefined) findings.add('LOG_CHAIN_BROKEN', path, `record ${log.recordCount + 1} ${problem}`)
    at = record.end
  }
  if (at < bytes.length) reportBreak(bytes, at, log, path, findings)
  return log
}

interface RawRecord {
  readonly logseq: bigint
  readonly type: number
  readonly payload: Buffer
  readonly hash: Buffer
  readonly end: number
}

function recordAt(bytes: Buffer, at: number, previous: Uint8Array): RawRecord | undefined {
  if (bytes.length - at < 48) return undefined
  const payloadEnd = at + 16 + bytes.readUInt32LE(at + 12)
  if (payloadEnd + 32 > bytes.length) return undefined
  const hash = createHash('sha256').update(previous).update(bytes.subarray(at, payloadEnd)).digest()
  if (!hash.equals(bytes.subarray(payloadEnd, payloadEnd + 32))) return undefined
  return {
    logseq: bytes.readBigUInt64LE(at),
    type: bytes.readUInt32LE(at + 8),
    payload: bytes.subarray(at + 16, payloadEnd),
    hash,
    end: payloadEnd + 32,
  }
}

/** A record that anything whole follows was acknowledged once; what nothing follows may be what a crash left. */
function reportBreak(bytes: Buffer, at: number, log: WalkedLog, path: string, findings: Findings): void {
  const what = `record ${log.recordCount + 1} at offset ${at} does not continue the chain`
  const previous = log.hashes[log.recordCount] as Buffer
  const isFollowed = (): boolean => {
    for (let next = at; next + 48 <= bytes.length; next++) {
      const logseq = bytes.readBigUInt64LE(next)
      if (logseq === 0n || logseq > BigInt(log.recordCount + bytes.length)) continue
      const before = next < HEADER.length + 32 ? previous : bytes.subarray(next - 32, next)
      if (recordAt(bytes, next, before) !== undefined) return true
    }
    // Only the stored hash may be wrong: what follows then continues the right one.
    if (bytes.length - at < 48) return false
    const payloadEnd = at + 16 + bytes.readUInt32LE(at + 12)
    if (payloadEnd + 32 >= bytes.length) return false
    const right = createHash('sha256').update(previous).update(bytes.subarray(at, payloadEnd)).digest()
    return recordAt(bytes, payloadEnd + 32, right) !== undefined
  }
  if (isFollowed()) findings.add('LOG_CHAIN_BROKEN', path, `${what}, and records follow it`)
  else findings.add('LOG_TAIL_TORN', path, `${what}; the next writer cuts it off and keeps a copy`)
}

/** The reason why a record is not what its type says. */
function applyRecord(log: WalkedLog, logseq: number, type: number, payload: Buffer): string | undefined {
  const wants = (sizeBytes: number): string | undefined =>
    payload.length === sizeBytes ? undefined : `has a payload of ${payload.length} bytes, not ${sizeBytes}`
  switch (type) {
    case 0x01: {
      const problem = wants(40)
      if (problem === undefined) {
        log.segments.push({ id: payload.readBigUInt64LE(0), hash: payload.toString('hex', 8, 40), logseq })
      }
      return problem
    }
    case 0x10:
    case 0x11: {
      if (payload.length < 8) return wants(48)
      const end = 8 + payload.readUInt16LE(4)
      const problem = wants(end + 8)
      if (problem !== undefined || payload.readUInt32LE(0) !== 1) return problem
      const digest = payload.toString('hex', 8, end)
      if (type === 0x10) log.tombstones.set(digest, logseq)
      else if (BigInt(log.tombstones.get(digest) ?? 0) === payload.readBigUInt64LE(end)) log.tombstones.delete(digest)
      return undefined
    }
    case 0x20: {
      const problem = wants(40)
      if (problem === undefined) {
        log.snapshots.push({ id: Number(payload.readBigUInt64LE(0)), rootHash: payload.toString('hex', 8, 40), logseq })
      }
      return problem
    }
    case 0x80000002: {
      if (payload.length < 36) return wants(36)
      log.collectedBlocks.add(payload.toString('hex', 0, 32))
      return wants(36 + payload.readUInt32LE(32) * 56)
    }
    case 0x80000003:
      if (payload.length === 8) log.removedSnapshots.add(Number(payload.readBigUInt64LE(0)))
      return wants(8)
    case 0x80000004:
      log.configHash = payload.toString('hex')
      return wants(32)
    default:
      return undefined
  }
}
