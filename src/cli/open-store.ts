import { AslError, isReference, type Reference } from '../core/mod.ts'
import { type DiskStore, openStore, type StoreReader } from '../store/mod.ts'
import { storePathOf } from './store-path.ts'
import type { Context, VerbInput } from './verb.ts'

/** The store that `--store`, `$ASL_STORE` or the project names. Close it in `finally`. */
export function openStoreOf(context: Context, input: VerbInput): DiskStore {
  return openStore(storePathOf(context, input))
}

const SHORTEST_PREFIX = 8

/**
 * A reference in full, or as much of its digest's beginning as names one artifact only, the way screens show it.
 * @throws AslError REF_INVALID, STORE_NOT_FOUND
 */
export function referenceArgument(store: StoreReader, text: string): Reference {
  if (isReference(text)) return text
  if (!/^[0-9a-f]+$/.test(text) || text.length < SHORTEST_PREFIX || text.length >= 68) {
    throw new AslError('REF_INVALID', `Not a reference: "${text.slice(0, 80)}"`, {
      hint: `Give 68 lower-case hex digits that start with 0001, or at least ${SHORTEST_PREFIX} digits of what follows them.`,
    })
  }
  const found: Reference[] = []
  for (const reference of store.references()) {
    if (reference.startsWith(text, 4) || reference.startsWith(text)) found.push(reference)
    if (found.length > 1) throw new AslError('REF_INVALID', `"${text}" names more than one artifact`)
  }
  if (found[0] === undefined)
    throw new AslError('STORE_NOT_FOUND', `No artifact begins with ${text} in "${store.location}"`)
  return found[0]
}
