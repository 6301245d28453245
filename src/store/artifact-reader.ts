import { createHash } from 'node:crypto'
import { AslError, decodeArtifactHeader, encodeArtifactHeader, type Reference, sha256Bytes } from '../core/mod.ts'
import type { IndexedArtifact } from './artifact-index.ts'
import type { BlockSource } from './block-source.ts'
import type { Extent } from './segment-file.ts'

const PIECE_BYTES = 1 << 20

/** Content of located artifacts, verified: the digest is derived again from what was read, whatever the index says. */
export class ArtifactReader {
  readonly #blocks: BlockSource

  constructor(blocks: BlockSource) {
    this.#blocks = blocks
  }

  /** @throws AslError STORE_INTEGRITY, STORE_BLOCK_MISSING, STORE_BLOCK_INVALID */
  read(artifact: IndexedArtifact): Buffer {
    const header = encodeArtifactHeader(artifact.typeTag, contentSize(artifact))
    const bytes = Buffer.allocUnsafeSlow(artifact.totalLength)
    let filled = 0
    if (artifact.isContent) {
      bytes.set(header)
      filled = header.length
    }
    for (const extent of artifact.extents()) {
      this.#readExactly(artifact, extent, 0, bytes.subarray(filled, filled + extent.length))
      filled += extent.length
    }
    if (!bytes.subarray(0, header.length).equals(header)) throw damaged(artifact, 'its header differs from the index')
    if (referenceHex(sha256Bytes(bytes)) !== artifact.reference) throw damaged(artifact, 'its content hashes otherwise')
    return bytes.subarray(header.length)
  }

  /** In pieces; the last step throws STORE_INTEGRITY when the digest differs. */
  *chunks(artifact: IndexedArtifact): Iterable<Buffer> {
    const header = encodeArtifactHeader(artifact.typeTag, contentSize(artifact))
    const hash = createHash('sha256').update(header)
    let skip = artifact.isContent ? 0 : header.length
    for (const extent of artifact.extents()) {
      let at = 0
      if (skip > 0) {
        at = Math.min(skip, extent.length)
        skip -= at
      }
      while (at < extent.length) {
        const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, extent.length - at))
        this.#readExactly(artifact, extent, at, piece)
        hash.update(piece)
        at += piece.length
        yield piece
      }
    }
    if (!artifact.isContent) this.#checkHeader(artifact, header)
    if (referenceHex(hash.digest()) !== artifact.reference) throw damaged(artifact, 'its content hashes otherwise')
  }

  /** A part of the content, read straight from the blocks and not verified: the caller has seen to that. */
  readUnverified(artifact: IndexedArtifact, offset: number, sizeBytes: number): Buffer {
    const skip = artifact.isContent ? 0 : artifact.totalLength - contentSize(artifact)
    const bytes = Buffer.allocUnsafeSlow(sizeBytes)
    let [position, filled] = [offset + skip, 0]
    let start = 0
    for (const extent of artifact.extents()) {
      const from = position - start
      if (filled < sizeBytes && from < extent.length) {
        const length = Math.min(extent.length - from, sizeBytes - filled)
        this.#readExactly(artifact, extent, from, bytes.subarray(filled, filled + length))
        filled += length
        position += length
      }
      start += extent.length
    }
    return bytes
  }

  #checkHeader(artifact: IndexedArtifact, wanted: Buffer): void {
    const found = Buffer.alloc(wanted.length)
    let filled = 0
    for (const extent of artifact.extents()) {
      if (filled === found.length) break
      const length = Math.min(extent.length, found.length - filled)
      this.#readExactly(artifact, extent, 0, found.subarray(filled, filled + length))
      filled += length
    }
    if (!found.equals(wanted)) {
      decodeArtifactHeader(found)
      throw damaged(artifact, 'its header differs from the index')
    }
  }

  #readExactly(artifact: IndexedArtifact, extent: Extent, offset: number, into: Buffer): void {
    const block = this.#blocks.open(extent.blockId)
    const position = extent.offset + offset
    if (position + into.length > block.sizeBytes || block.read(into, position) !== into.length) {
      throw new AslError(
        'STORE_BLOCK_INVALID',
        `Block ${extent.blockId} has ${block.sizeBytes} bytes, ${artifact.reference} ends at ${position + into.length}`,
        { hint: HEAL_HINT, details: { block: extent.blockId, reference: artifact.reference } },
      )
    }
  }
}

export const HEAL_HINT = 'Put the same content again to heal the store.'

/** Size of the content, without the artifact header. */
export function contentSize(record: { readonly totalLength: number; readonly typeTag: unknown }): number {
  return record.totalLength - (record.typeTag === undefined ? 9 : 13)
}

function referenceHex(digest: Buffer): Reference {
  return `0001${digest.toString('hex')}` as Reference
}

function damaged(artifact: IndexedArtifact, reason: string): AslError {
  const blocks = artifact.extents().map(extent => extent.blockId)
  return new AslError(
    'STORE_INTEGRITY',
    `Artifact ${artifact.reference} is damaged: ${reason} (block ${blocks.join(', ')})`,
    {
      hint: HEAL_HINT,
      details: { reference: artifact.reference, blocks },
    },
  )
}
