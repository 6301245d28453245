import { AslError, type Sha256 } from '../core/mod.ts'
import { type ByteSource, chunksOf, partOf } from './byte-source.ts'
import { formatError } from './format-error.ts'
import { merkleTree, VERITY_BLOCK_BYTES } from './verity.ts'

/** The superblock of a dm-verity hash file, version 1 (cryptsetup, lib/verity/verity.c, struct verity_sb). */
export interface VeritySuperblock {
  readonly uuid: Buffer
  readonly dataBlocks: number
}

const SIGNATURE = Buffer.from('verity\0\0')
const UUID_BYTES = 16
const ALGORITHM_OFFSET = 32
const SALT_OFFSET = 80

/** One block: the superblock, padded with zeros. */
export function encodeVeritySuperblock({ uuid, dataBlocks }: VeritySuperblock): Buffer {
  if (uuid.length !== UUID_BYTES) throw new Error(`a UUID of ${uuid.length} bytes`)
  const block = Buffer.alloc(VERITY_BLOCK_BYTES)
  SIGNATURE.copy(block)
  block.writeUInt32LE(1, 8) // version
  block.writeUInt32LE(1, 12) // hash type "normal"
  uuid.copy(block, 16)
  block.write('sha256', ALGORITHM_OFFSET)
  block.writeUInt32LE(VERITY_BLOCK_BYTES, 64)
  block.writeUInt32LE(VERITY_BLOCK_BYTES, 68)
  block.writeBigUInt64LE(BigInt(dataBlocks), 72)
  return block
}

/** @throws AslError FORMAT_INVALID for another version, algorithm, block size, or a salt */
export function readVeritySuperblock(source: ByteSource): VeritySuperblock {
  const place = 'dm-verity superblock'
  const fail = (reason: string): never => {
    throw formatError(source, place, reason)
  }
  if (source.sizeBytes < VERITY_BLOCK_BYTES) fail(`wants ${VERITY_BLOCK_BYTES} bytes, there are ${source.sizeBytes}`)
  const block = source.read(0, VERITY_BLOCK_BYTES)
  if (!block.subarray(0, 8).equals(SIGNATURE)) fail('has no signature')
  if (block.readUInt32LE(8) !== 1 || block.readUInt32LE(12) !== 1) fail('is of another version')
  const algorithm = block.toString('latin1', ALGORITHM_OFFSET, 64).replace(/\0+$/, '')
  if (algorithm !== 'sha256') fail(`has the algorithm ${JSON.stringify(algorithm)}, wanted sha256`)
  for (const offset of [64, 68]) {
    if (block.readUInt32LE(offset) !== VERITY_BLOCK_BYTES) fail(`has blocks of ${block.readUInt32LE(offset)} bytes`)
  }
  const saltBytes = block.readUInt16LE(SALT_OFFSET)
  if (saltBytes !== 0) fail(`has a salt of ${saltBytes} bytes, ours have none`)
  if (block.subarray(SALT_OFFSET).some(byte => byte !== 0)) fail('has something where zeros belong')
  const dataBlocks = block.readBigUInt64LE(72)
  if (dataBlocks === 0n || dataBlocks > BigInt(Number.MAX_SAFE_INTEGER) / 4096n) fail(`covers ${dataBlocks} blocks`)
  return { uuid: Buffer.from(block.subarray(16, 32)), dataBlocks: Number(dataBlocks) }
}

/**
 * Checks data and hash file against a root hash that the caller trusts, every byte of both.
 * @throws AslError DIGEST_MISMATCH naming the first block that differs; FORMAT_INVALID
 */
export function verifyDmVerity(data: ByteSource, tree: ByteSource, root: Sha256): void {
  const { dataBlocks } = readVeritySuperblock(tree)
  const wantedBytes = dataBlocks * VERITY_BLOCK_BYTES
  if (data.sizeBytes !== wantedBytes) {
    throw formatError(tree, 'dm-verity superblock', `covers ${wantedBytes} bytes, ${data.name} has ${data.sizeBytes}`)
  }
  const stored = partOf(tree, { offset: VERITY_BLOCK_BYTES, sizeBytes: tree.sizeBytes - VERITY_BLOCK_BYTES }, 'tree')
  let wrongOffset: number | undefined
  const found = merkleTree(chunksOf(data), data.sizeBytes, (block, offset) => {
    const isThere = offset + VERITY_BLOCK_BYTES <= stored.sizeBytes
    if (isThere && stored.read(offset, VERITY_BLOCK_BYTES).equals(block)) return
    wrongOffset ??= offset + VERITY_BLOCK_BYTES
  })
  if (wrongOffset !== undefined) {
    throw new AslError('DIGEST_MISMATCH', `${tree.name}: the hash block at ${wrongOffset} does not fit ${data.name}`, {
      details: { tree: tree.name, offset: wrongOffset, data: data.name },
    })
  }
  if (stored.sizeBytes !== found.treeBytes) {
    throw formatError(tree, 'dm-verity tree', `has ${stored.sizeBytes} bytes, wanted ${found.treeBytes}`)
  }
  if (found.root !== root) {
    throw new AslError('DIGEST_MISMATCH', `${data.name} has the root hash ${found.root}, wanted ${root}`)
  }
}
