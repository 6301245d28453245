import { type Reference, referenceDigest, referenceFromDigest } from '../../core/mod.ts'
import { IDENTITY_SIZE_BYTES, tryReadFile, writeFileAtomic } from '../../sys/mod.ts'

/**
 * Remembers the reference of content by (device, inode, size, mtime, ctime), so that a file which nobody touched is
 * not read again. One flat hash table that is read as it lies on disk; losing it costs time and nothing else.
 *
 *     "ASLDIG1\n" | capacity u32 LE | count u32 LE | capacity × (identity 48 | digest 32)
 */
export interface DigestCache {
  tryGet(identity: Buffer): Reference | undefined
  add(identity: Buffer, reference: Reference): void
  /** Writes it back when something was added. */
  save(): void
}

const MAGIC = Buffer.from('ASLDIG1\n')
const HEADER_SIZE_BYTES = 16
const DIGEST_SIZE_BYTES = 32
const SLOT_SIZE_BYTES = IDENTITY_SIZE_BYTES + DIGEST_SIZE_BYTES
const FIRST_CAPACITY = 1 << 12
/** 40 MiB; a table that is full starts anew. */
const MAX_CAPACITY = 1 << 19

/** Without a path it lives in memory only. A file that is not such a table counts as empty: it is a cache. */
export function openDigestCache(path: string | undefined): DigestCache {
  let table = (path === undefined ? undefined : tryLoad(path)) ?? emptyTable(FIRST_CAPACITY)
  let isChanged = false
  const capacity = (): number => table.readUInt32LE(8)
  const count = (): number => table.readUInt32LE(12)
  const add = (identity: Buffer, digest: Buffer): void => {
    if (count() * 2 >= capacity()) grow()
    const at = slotOf(table, identity)
    if (isFree(table, at)) table.writeUInt32LE(count() + 1, 12)
    identity.copy(table, at)
    digest.copy(table, at + IDENTITY_SIZE_BYTES)
  }
  const grow = (): void => {
    const old = table
    table = emptyTable(capacity() < MAX_CAPACITY ? capacity() * 2 : FIRST_CAPACITY)
    if (table.length < old.length) return
    for (let at = HEADER_SIZE_BYTES; at < old.length; at += SLOT_SIZE_BYTES) {
      const digestAt = at + IDENTITY_SIZE_BYTES
      if (!isFree(old, at)) add(old.subarray(at, digestAt), old.subarray(digestAt, digestAt + DIGEST_SIZE_BYTES))
    }
  }
  return {
    tryGet(identity) {
      const at = slotOf(table, identity) + IDENTITY_SIZE_BYTES
      if (isFree(table, at - IDENTITY_SIZE_BYTES)) return undefined
      return referenceFromDigest(table.subarray(at, at + DIGEST_SIZE_BYTES))
    },
    add(identity, reference) {
      isChanged = true
      add(identity, referenceDigest(reference))
    },
    save() {
      if (path !== undefined && isChanged) writeFileAtomic(path, table)
      isChanged = false
    },
  }
}

function tryLoad(path: string): Buffer | undefined {
  const table = tryReadFile(path)
  if (table === undefined || table.length < HEADER_SIZE_BYTES || !table.subarray(0, 8).equals(MAGIC)) return undefined
  const capacity = table.readUInt32LE(8)
  const isPowerOfTwo = capacity > 0 && (capacity & (capacity - 1)) === 0
  if (!isPowerOfTwo || table.length !== HEADER_SIZE_BYTES + capacity * SLOT_SIZE_BYTES) return undefined
  return table.readUInt32LE(12) * 2 <= capacity ? table : undefined
}

function emptyTable(capacity: number): Buffer {
  const table = Buffer.alloc(HEADER_SIZE_BYTES + capacity * SLOT_SIZE_BYTES)
  MAGIC.copy(table)
  table.writeUInt32LE(capacity, 8)
  return table
}

/** Where the identity is, or the free slot where it belongs. */
function slotOf(table: Buffer, identity: Buffer): number {
  const last = table.readUInt32LE(8) - 1
  const inode = identity.readUInt32LE(8) ^ Math.imul(identity.readUInt32LE(4), 0x85ebca6b)
  for (let slot = Math.imul(inode, 0x9e3779b1) >>> 0; ; slot++) {
    const at = HEADER_SIZE_BYTES + (slot & last) * SLOT_SIZE_BYTES
    if (isFree(table, at) || identity.compare(table, at, at + IDENTITY_SIZE_BYTES) === 0) return at
  }
}

/** No file has inode 0. */
function isFree(table: Buffer, at: number): boolean {
  return table.readUInt32LE(at + 8) === 0 && table.readUInt32LE(at + 12) === 0
}
