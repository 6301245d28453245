import type { Reference } from '../core/mod.ts'
import {
  AslError,
  type CborValue,
  compareReferences,
  decodeCbor,
  encodeCbor,
  referenceBytes,
  referenceFromBytes,
} from '../core/mod.ts'
import { type ReadFs, readWholeFile } from './fs.ts'
import type { StorePaths } from './layout.ts'

/** `meta/absent.cbor`, kind `asl.absent`: what an image store leaves out on purpose (reference §4). */
const LARGEST_LIST_BYTES = 1024 ** 3

export function encodeAbsentList(references: Iterable<Reference>): Buffer {
  const refs = [...new Set(references)].sort(compareReferences).map(reference => referenceBytes(reference))
  return encodeCbor(
    new Map<string, CborValue>([
      ['kind', 'asl.absent'],
      ['refs', refs],
      ['v', 1],
    ]),
  )
}

/** @throws AslError RECORD_INVALID, CBOR_NOT_CANONICAL, REF_INVALID */
export function decodeAbsentList(bytes: Uint8Array): Reference[] {
  const map = decodeCbor(bytes, LARGEST_LIST_BYTES)
  const refs =
    map instanceof Map && map.size === 3 && map.get('kind') === 'asl.absent' && map.get('v') === 1
      ? map.get('refs')
      : undefined
  if (!Array.isArray(refs)) throw new AslError('RECORD_INVALID', 'Not a list of absent artifacts')
  const references = refs.map(ref => {
    if (ref instanceof Uint8Array) return referenceFromBytes(ref)
    throw new AslError('RECORD_INVALID', 'The list of absent artifacts holds something else than references')
  })
  for (let i = 1; i < references.length; i++) {
    if (compareReferences(references[i - 1] as Reference, references[i] as Reference) >= 0) {
      throw new AslError('RECORD_INVALID', `The list of absent artifacts is not in ascending order at ${references[i]}`)
    }
  }
  return references
}

export function readAbsentList(fs: ReadFs, paths: StorePaths): ReadonlySet<Reference> {
  if (fs.stat(paths.absent) === undefined) return new Set()
  return new Set(decodeAbsentList(readWholeFile(fs, paths.absent, LARGEST_LIST_BYTES)))
}
