import { createHash, type Hash } from 'node:crypto'
import { AslError } from './error.ts'
import { type Reference, referenceFromDigest } from './reference.ts'
import type { TypeTag } from './type-tag.ts'

/**
 * ArtifactBytes, the canonical encoding every reference hangs on (reference §1, marked *likely* upstream).
 * It lives here alone: a correction is one change and a new revision, never a silent switch.
 *
 *     has_type_tag u8 | type_tag u32 BE (only after 01) | bytes_len u64 BE | bytes
 */
export const LAYOUT_REVISION = 1

export interface Artifact {
  readonly typeTag: TypeTag | undefined
  readonly bytes: Buffer
}

export const UNTAGGED_HEADER_SIZE_BYTES = 9
export const TAGGED_HEADER_SIZE_BYTES = 13

export function artifactHeaderSize(typeTag: TypeTag | undefined): number {
  return typeTag === undefined ? UNTAGGED_HEADER_SIZE_BYTES : TAGGED_HEADER_SIZE_BYTES
}

export function encodeArtifactHeader(typeTag: TypeTag | undefined, sizeBytes: number): Buffer {
  const header = Buffer.alloc(artifactHeaderSize(typeTag))
  if (typeTag !== undefined) {
    header[0] = 1
    header.writeUInt32BE(typeTag, 1)
  }
  header.writeBigUInt64BE(BigInt(sizeBytes), header.length - 8)
  return header
}

export interface ArtifactHeader {
  readonly typeTag: TypeTag | undefined
  /** Size of the content, without the header. */
  readonly sizeBytes: number
  readonly headerSizeBytes: number
}

/** @throws AslError ARTIFACT_INVALID for another flag, a short header, or a length no file can have */
export function decodeArtifactHeader(bytes: Uint8Array): ArtifactHeader {
  const flag = bytes[0]
  if (flag !== 0 && flag !== 1) throw invalid(`flag ${flag === undefined ? 'is missing' : `is ${flag}, not 0 or 1`}`)
  const headerSizeBytes = flag === 1 ? TAGGED_HEADER_SIZE_BYTES : UNTAGGED_HEADER_SIZE_BYTES
  if (bytes.length < headerSizeBytes) throw invalid(`header has ${bytes.length} of ${headerSizeBytes} bytes`)
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = view.readBigUInt64BE(headerSizeBytes - 8)
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`length ${size} is beyond 2^53-1`)
  return {
    typeTag: flag === 1 ? (view.readUInt32BE(1) as TypeTag) : undefined,
    sizeBytes: Number(size),
    headerSizeBytes,
  }
}

/** @throws AslError ARTIFACT_INVALID for a bad header, short input or trailing bytes */
export function decodeArtifact(bytes: Uint8Array): Artifact {
  const header = decodeArtifactHeader(bytes)
  const end = header.headerSizeBytes + header.sizeBytes
  if (bytes.length < end)
    throw invalid(`content has ${bytes.length - header.headerSizeBytes} of ${header.sizeBytes} bytes`)
  if (bytes.length > end) throw invalid(`${bytes.length - end} bytes follow the content`)
  return {
    typeTag: header.typeTag,
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset + header.headerSizeBytes, header.sizeBytes),
  }
}

export function encodeArtifact(bytes: Uint8Array, typeTag?: TypeTag): Buffer {
  return Buffer.concat([encodeArtifactHeader(typeTag, bytes.length), bytes])
}

export function referenceOf(bytes: Uint8Array | string, typeTag?: TypeTag): Reference {
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return artifactHasher(content.length, typeTag).update(content).reference()
}

export interface ArtifactHasher {
  update(bytes: Uint8Array): ArtifactHasher
  /** @throws AslError ARTIFACT_INVALID when the content was not as long as announced */
  reference(): Reference
}

/** Derives a reference from content that comes in pieces; its size must be known first, since it is hashed first. */
export function artifactHasher(sizeBytes: number, typeTag?: TypeTag): ArtifactHasher {
  const state: Hash = createHash('sha256').update(encodeArtifactHeader(typeTag, sizeBytes))
  let seenBytes = 0
  const hasher: ArtifactHasher = {
    update(bytes) {
      seenBytes += bytes.length
      state.update(bytes)
      return hasher
    },
    reference() {
      if (seenBytes !== sizeBytes) throw invalid(`content has ${seenBytes} bytes, ${sizeBytes} were announced`)
      return referenceFromDigest(state.digest())
    },
  }
  return hasher
}

function invalid(reason: string): AslError {
  return new AslError('ARTIFACT_INVALID', `Not an artifact: ${reason}`)
}
