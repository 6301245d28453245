import { readFileSync } from 'node:fs'
import { AslError, artifactHasher, compareReferences, type Reference, referenceOf, type TypeTag } from '../core/mod.ts'
import type { Store } from './interface.ts'

/** A store that lives in memory: for tests, and for short computations that need the interface and no disk. */
export function memoryStore(): Store {
  const artifacts = new Map<Reference, { readonly typeTag: TypeTag | undefined; readonly bytes: Buffer }>()
  let logPosition = 0
  const get = (reference: Reference) => {
    const found = artifacts.get(reference)
    if (found === undefined) throw new AslError('STORE_NOT_FOUND', `No artifact ${reference} in the memory store`)
    return found
  }
  const store: Store = {
    location: 'memory',
    state: () => ({ snapshotId: undefined, logPosition }),
    has: reference => artifacts.has(reference),
    isDeclaredAbsent: () => false,
    tryStat: reference => {
      const found = artifacts.get(reference)
      return found && { reference, typeTag: found.typeTag, sizeBytes: found.bytes.length }
    },
    read: (reference, maxBytes = 1024 ** 3) => {
      const { bytes } = get(reference)
      if (bytes.length > maxBytes) throw new AslError('LIMIT_EXCEEDED', `${reference} has ${bytes.length} bytes`)
      return bytes
    },
    *chunks(reference) {
      const { bytes } = get(reference)
      for (let at = 0; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20))
    },
    readRange: (reference, offset, sizeBytes) => get(reference).bytes.subarray(offset, offset + sizeBytes),
    tryContentPath: () => undefined,
    *references(typeTag) {
      for (const reference of [...artifacts.keys()].sort(compareReferences)) {
        if (typeTag === undefined || (artifacts.get(reference)?.typeTag ?? null) === typeTag) yield reference
      }
    },
    refresh: () => {},
    close: () => {},
    openWriter: () => {
      const batch = new Map<Reference, { typeTag: TypeTag | undefined; bytes: Buffer }>()
      const put = (bytes: Uint8Array, typeTag?: TypeTag): Reference => {
        const reference = referenceOf(bytes, typeTag)
        if (!artifacts.has(reference)) batch.set(reference, { typeTag, bytes: Buffer.from(bytes) })
        return reference
      }
      return {
        put,
        putFile: path => put(readFileSync(path as string)),
        putOpenFile: fd => {
          const bytes = readFileSync(fd)
          return { reference: put(bytes), typeTag: undefined, sizeBytes: bytes.length }
        },
        putChunks: (chunks, sizeBytes, typeTag) => {
          const bytes = Buffer.concat([...chunks])
          artifactHasher(sizeBytes, typeTag).update(bytes).reference()
          return put(bytes, typeTag)
        },
        has: reference => batch.has(reference) || artifacts.has(reference),
        commit: () => {
          if (batch.size > 0) logPosition++
          for (const [reference, artifact] of batch) artifacts.set(reference, artifact)
          batch.clear()
          return store.state()
        },
        abort: () => batch.clear(),
      }
    },
  }
  return store
}
