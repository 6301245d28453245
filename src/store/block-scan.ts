import { createHash } from 'node:crypto'
import { AslError, decodeArtifactHeader, encodeArtifactHeader, type TypeTag } from '../core/mod.ts'
import type { CachedFile } from './file-cache.ts'

export interface ScannedArtifact {
  readonly digest: Buffer
  readonly typeTag: TypeTag | undefined
  /** Size of ArtifactBytes. */
  readonly totalLength: number
  readonly isContent: boolean
  readonly offset: number
}

const PIECE_BYTES = 1 << 20
const LONGEST_HEADER_BYTES = 13

/**
 * The artifacts of a packed block, which says of itself where each ends: nothing else is needed to index it again.
 * @throws AslError ARTIFACT_INVALID when it is not ArtifactBytes after ArtifactBytes to its end
 */
export function* scanPackedBlock(block: CachedFile): Iterable<ScannedArtifact> {
  const header = Buffer.alloc(LONGEST_HEADER_BYTES)
  for (let offset = 0; offset < block.sizeBytes; ) {
    const got = block.read(header, offset)
    const { typeTag, sizeBytes, headerSizeBytes } = decodeArtifactHeader(header.subarray(0, got))
    const totalLength = headerSizeBytes + sizeBytes
    if (totalLength > block.sizeBytes - offset) {
      const left = block.sizeBytes - offset
      throw new AslError('ARTIFACT_INVALID', `The artifact at ${offset} has ${totalLength} bytes, ${left} are left`)
    }
    yield { digest: hashRange(block, offset, totalLength), typeTag, totalLength, isContent: false, offset }
    offset += totalLength
  }
}

/** A raw block is one untagged artifact, whose header is implied. */
export function scanRawBlock(block: CachedFile): ScannedArtifact {
  const header = encodeArtifactHeader(undefined, block.sizeBytes)
  const digest = hashRange(block, 0, block.sizeBytes, header)
  return { digest, typeTag: undefined, totalLength: header.length + block.sizeBytes, isContent: true, offset: 0 }
}

function hashRange(block: CachedFile, offset: number, length: number, before?: Uint8Array): Buffer {
  const hash = createHash('sha256')
  if (before !== undefined) hash.update(before)
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, length))
  for (let at = 0; at < length; ) {
    const wanted = Math.min(piece.length, length - at)
    if (block.read(piece.subarray(0, wanted), offset + at) !== wanted) {
      throw new AslError('STORE_BLOCK_INVALID', `A block ended at ${offset + at} while it was read`)
    }
    hash.update(piece.subarray(0, wanted))
    at += wanted
  }
  return hash.digest()
}
