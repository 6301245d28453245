import { AslError } from './error.ts'

/**
 * The identity of an artifact: hash id and digest of its canonical encoding, as lower-case hex (reference §1).
 * With SHA-256, the only hash we derive with, 68 digits that start `0001`.
 */
export type Reference = string & { readonly __brand: 'Reference' }

/** `HASH-ASL1-256`: SHA-256, 32 bytes. */
export const HASH_ID_SHA256 = 0x0001
export const REFERENCE_SIZE_BYTES = 34
const DIGEST_SIZE_BYTES = 32

/** @throws AslError REF_INVALID for anything but 68 lower-case hex digits that start `0001` */
export function parseReference(text: string): Reference {
  if (/^0001[0-9a-f]{64}$/.test(text)) return text as Reference
  throw new AslError('REF_INVALID', `Not a reference: "${text.slice(0, 80)}"`, {
    hint: 'A reference is 68 lower-case hex digits and starts with 0001.',
  })
}

export function isReference(text: string): text is Reference {
  return /^0001[0-9a-f]{64}$/.test(text)
}

/** @throws AslError REF_INVALID for another length or hash id */
export function referenceFromBytes(bytes: Uint8Array): Reference {
  if (bytes.length !== REFERENCE_SIZE_BYTES || bytes[0] !== 0 || bytes[1] !== HASH_ID_SHA256) {
    const shown = Buffer.from(bytes.subarray(0, REFERENCE_SIZE_BYTES)).toString('hex')
    throw new AslError('REF_INVALID', `Not a SHA-256 reference: ${bytes.length} bytes ${shown}`)
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex') as Reference
}

export function referenceFromDigest(digest: Uint8Array): Reference {
  if (digest.length !== DIGEST_SIZE_BYTES) {
    throw new AslError('REF_INVALID', `A SHA-256 digest has ${DIGEST_SIZE_BYTES} bytes, not ${digest.length}`)
  }
  return `0001${Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('hex')}` as Reference
}

/** ReferenceBytes: hash id u16 big-endian, then the digest. */
export function referenceBytes(reference: Reference): Buffer {
  return Buffer.from(reference, 'hex')
}

export function referenceDigest(reference: Reference): Buffer {
  return Buffer.from(reference.slice(4), 'hex')
}

/** The first 12 digits of the digest, for screens only: files and wires never shorten. */
export function shortReference(reference: Reference): string {
  return reference.slice(4, 16)
}

/** Order by ReferenceBytes. Hex of equal length sorts as its bytes do. */
export function compareReferences(a: Reference, b: Reference): number {
  return a < b ? -1 : a > b ? 1 : 0
}
