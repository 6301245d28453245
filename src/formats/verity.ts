import { createHash, type Hash } from 'node:crypto'
import { AslError, parseSha256, type Sha256 } from '../core/mod.ts'
import { type ByteSource, chunksOf } from './byte-source.ts'

/**
 * One Merkle tree serves dm-verity and fs-verity: SHA-256, blocks of 4,096 bytes, no salt. The root of both is the
 * same; the *file digest* of fs-verity is a third number, over a descriptor that holds root and size.
 */
export interface MerkleTree {
  readonly root: Sha256
  readonly dataBlocks: number
  /** Size of all hash blocks; 0 when the data fit one block. */
  readonly treeBytes: number
}

export const VERITY_BLOCK_BYTES = 4096
const HASH_BYTES = 32
const HASHES_PER_BLOCK = VERITY_BLOCK_BYTES / HASH_BYTES

/** Called with each hash block and its place in the tree, top level first, as dm-verity lays it out. */
export type OnTreeBlock = (block: Buffer, offset: number) => void

/**
 * Hashes `chunks` in constant memory: one open block a level. The last data block is padded with zeros.
 * @throws AslError DIGEST_MISMATCH when the chunks are not `sizeBytes` long
 */
export function merkleTree(
  chunks: Iterable<Uint8Array>,
  sizeBytes: number,
  onBlock: OnTreeBlock = () => {},
): MerkleTree {
  const dataBlocks = Math.ceil(sizeBytes / VERITY_BLOCK_BYTES)
  const { levels, treeBytes } = levelsOf(dataBlocks)
  let root: Buffer | undefined
  const put = (hash: Buffer, levelIndex: number): void => {
    const level = levels[levelIndex]
    if (level === undefined) {
      root = hash
      return
    }
    hash.copy(level.block, level.filled)
    level.filled += HASH_BYTES
    if (level.filled === VERITY_BLOCK_BYTES) close(levelIndex)
  }
  const close = (levelIndex: number): void => {
    const level = levels[levelIndex] as Level
    level.block.fill(0, level.filled)
    onBlock(Buffer.from(level.block), level.next)
    level.next += VERITY_BLOCK_BYTES
    level.filled = 0
    put(createHash('sha256').update(level.block).digest(), levelIndex + 1)
  }
  const hashedBytes = hashBlocks(chunks, hash => put(hash, 0))
  if (hashedBytes !== sizeBytes) {
    throw new AslError('DIGEST_MISMATCH', `The data to hash are ${hashedBytes} bytes long, not ${sizeBytes}`)
  }
  for (const [index, level] of levels.entries()) if (level.filled > 0) close(index)
  return { root: parseSha256((root ?? Buffer.alloc(HASH_BYTES)).toString('hex')), dataBlocks, treeBytes }
}

interface Level {
  readonly block: Buffer
  filled: number
  /** Where its next block goes in the tree. */
  next: number
}

/** The levels, lowest first, with their places: the highest lies at 0. */
function levelsOf(dataBlocks: number): { levels: Level[]; treeBytes: number } {
  const counts: number[] = []
  for (let count = dataBlocks; count > 1; ) {
    count = Math.ceil(count / HASHES_PER_BLOCK)
    counts.push(count)
  }
  let next = 0
  const levels: Level[] = []
  for (const count of counts.reverse()) {
    levels.unshift({ block: Buffer.alloc(VERITY_BLOCK_BYTES), filled: 0, next })
    next += count * VERITY_BLOCK_BYTES
  }
  return { levels, treeBytes: next }
}

function hashBlocks(chunks: Iterable<Uint8Array>, onHash: (hash: Buffer) => void): number {
  let hash: Hash = createHash('sha256')
  let filled = 0
  let total = 0
  for (const chunk of chunks) {
    total += chunk.length
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + VERITY_BLOCK_BYTES - filled)
      hash.update(part)
      at += part.length
      filled += part.length
      if (filled < VERITY_BLOCK_BYTES) break
      onHash(hash.digest())
      hash = createHash('sha256')
      filled = 0
    }
  }
  if (filled > 0) onHash(hash.update(Buffer.alloc(VERITY_BLOCK_BYTES - filled)).digest())
  return total
}

/** What `fsverity digest` prints: SHA-256 of the descriptor (Linux, struct fsverity_descriptor). */
export function fsVerityDigest(root: Sha256, sizeBytes: number): Sha256 {
  const descriptor = Buffer.alloc(256)
  descriptor[0] = 1 // version
  descriptor[1] = 1 // SHA-256
  descriptor[2] = Math.log2(VERITY_BLOCK_BYTES)
  descriptor.writeBigUInt64LE(BigInt(sizeBytes), 8)
  Buffer.from(root, 'hex').copy(descriptor, 16)
  return parseSha256(createHash('sha256').update(descriptor).digest('hex'))
}

/** Root and file digest of a source, in constant memory. */
export function fsVerityOf(source: ByteSource): { readonly root: Sha256; readonly digest: Sha256 } {
  const { root } = merkleTree(chunksOf(source), source.sizeBytes)
  return { root, digest: fsVerityDigest(root, source.sizeBytes) }
}
