import { AslError, type Reference } from '../core/mod.ts'
import { type DiskStore, guarded } from './disk-store.ts'
import type { StoreState } from './interface.ts'
import { RECORD_TYPES } from './log-codec.ts'
import { encodeTombstone, encodeTombstoneLift, TOMBSTONE_REASONS, type TombstoneReason } from './log-payloads.ts'

/**
 * Hides artifacts from here on. Their content stays until `gc` finds that no pinned snapshot needs it.
 * @throws AslError STORE_NOT_FOUND for what is not visible, before anything is written
 */
export function tombstone(store: DiskStore, references: Iterable<Reference>, reason: TombstoneReason): StoreState {
  const access = store.requireWriting()
  return guarded(`Cannot hide artifacts in "${store.location}"`, () =>
    access.alone(() => {
      const wanted = [...new Set(references)]
      for (const reference of wanted) {
        if (!store.has(reference)) throw notFound(store, reference)
      }
      for (const reference of wanted) {
        const payload = encodeTombstone({ digest: reference.slice(4), reason: TOMBSTONE_REASONS.indexOf(reason) })
        access.append(RECORD_TYPES.TOMBSTONE, payload)
      }
      return store.state()
    }),
  )
}

/** Makes hidden artifacts visible again. @throws AslError STORE_NOT_FOUND for what no tombstone hides */
export function liftTombstone(store: DiskStore, references: Iterable<Reference>): StoreState {
  const access = store.requireWriting()
  return guarded(`Cannot lift tombstones in "${store.location}"`, () =>
    access.alone(() => {
      const lifts = [...new Set(references)].map(reference => {
        const hidden = store.log.tombstones.get(reference.slice(4))
        if (hidden === undefined) throw notFound(store, reference)
        return { digest: reference.slice(4), tombstoneLogseq: hidden.logseq }
      })
      for (const lift of lifts) access.append(RECORD_TYPES.TOMBSTONE_LIFT, encodeTombstoneLift(lift))
      return store.state()
    }),
  )
}

function notFound(store: DiskStore, reference: Reference): AslError {
  return new AslError('STORE_NOT_FOUND', `No artifact ${reference} in "${store.location}"`, { details: { reference } })
}
