import { type Reference, type Sha256, sha256Stream } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'

/** The plain SHA-256 of an artifact's content, as `sha256sum` gives it and package lists name it. Each is read once. */
export type PlainDigests = (ref: Reference) => Sha256

/** The function throws STORE_NOT_FOUND and STORE_INTEGRITY; memory does not grow with the size of the content. */
export function plainDigests(store: StoreReader): PlainDigests {
  const known = new Map<Reference, Sha256>()
  return ref => {
    const found = known.get(ref)
    if (found !== undefined) return found
    const state = sha256Stream()
    for (const chunk of store.chunks(ref)) state.update(chunk)
    const digest = state.digest()
    known.set(ref, digest)
    return digest
  }
}
