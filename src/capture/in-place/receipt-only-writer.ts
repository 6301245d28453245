import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { AslError, artifactHasher, type Reference, referenceOf, type TypeTag } from '../../core/mod.ts'
import type { ArtifactStat, StoreWriter } from '../../store/mod.ts'

/** A writer that names everything and keeps nothing: for the receipt of a failed command, which enters no store. */
export function receiptOnlyWriter(): StoreWriter {
  const known = new Set<Reference>()
  const keep = (reference: Reference): Reference => {
    known.add(reference)
    return reference
  }
  const putOpenFile = (fd: number, name: string): ArtifactStat => {
    const sizeBytes = fstatSync(fd).size
    const reference = keep(hashChunks(chunksOf(fd, sizeBytes, name), sizeBytes))
    return { reference, typeTag: undefined, sizeBytes }
  }
  return {
    put: (bytes, typeTag) => keep(referenceOf(bytes, typeTag)),
    putChunks: (chunks, sizeBytes, typeTag) => keep(hashChunks(chunks, sizeBytes, typeTag)),
    putOpenFile,
    putFile(path) {
      const fd = openSync(path as string | Buffer, constants.O_RDONLY)
      try {
        return putOpenFile(fd, Buffer.from(path as Uint8Array).toString()).reference
      } finally {
        closeSync(fd)
      }
    },
    has: reference => known.has(reference),
    commit: () => ({ snapshotId: undefined, logPosition: 0 }),
    abort: () => {},
  }
}

function hashChunks(chunks: Iterable<Uint8Array>, sizeBytes: number, typeTag?: TypeTag): Reference {
  const hasher = artifactHasher(sizeBytes, typeTag)
  for (const chunk of chunks) hasher.update(chunk)
  return hasher.reference()
}

function* chunksOf(fd: number, sizeBytes: number, name: string): Iterable<Uint8Array> {
  const buffer = Buffer.allocUnsafe(1024 * 1024)
  for (let at = 0; at < sizeBytes; ) {
    const size = readSync(fd, buffer, 0, Math.min(buffer.length, sizeBytes - at), at)
    if (size === 0) throw new AslError('CAPTURE_FAILED', `${name} became shorter while it was read`)
    yield buffer.subarray(0, size)
    at += size
  }
}
