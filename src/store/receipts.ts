import {
  AslError,
  COMMAND,
  decodeReceipt,
  ENVIRONMENT,
  EXECUTOR,
  INPUT_MANIFEST,
  OUTPUT_MANIFEST,
  type Receipt,
  type Reference,
  type StepRecord,
  TAG_RECEIPT,
} from '../core/mod.ts'
import type { StoreReader } from './interface.ts'

/** A receipt with everything it names decoded. */
export interface LoadedReceipt extends StepRecord {
  readonly ref: Reference
  readonly receipt: Receipt
}

/** @throws AslError STORE_NOT_FOUND, RECEIPT_INVALID, RECORD_INVALID */
export function loadReceipt(store: StoreReader, ref: Reference): LoadedReceipt {
  const stat = store.tryStat(ref)
  if (stat !== undefined && stat.typeTag !== TAG_RECEIPT) {
    throw new AslError('RECEIPT_INVALID', `${ref} in ${store.location} is no receipt`)
  }
  return loadStep(store, ref, decodeReceipt(store.read(ref)))
}

/** All deterministic receipts of a store, ascending by reference. */
export function* deterministicReceipts(store: StoreReader): Iterable<LoadedReceipt> {
  for (const ref of store.references(TAG_RECEIPT)) {
    const receipt = decodeReceipt(store.read(ref))
    if (receipt.run === undefined) yield loadStep(store, ref, receipt)
  }
}

/** Decodes what an already decoded receipt names. @throws AslError STORE_NOT_FOUND, RECORD_INVALID */
export function loadStep(store: StoreReader, ref: Reference, receipt: Receipt): LoadedReceipt {
  return {
    ref,
    receipt,
    command: COMMAND.decode(store.read(receipt.functionRef)),
    inputs: INPUT_MANIFEST.decode(store.read(receipt.inputManifestRef)),
    environment: ENVIRONMENT.decode(store.read(receipt.environmentRef)),
    outputs: OUTPUT_MANIFEST.decode(store.read(receipt.outputRef)),
    executors: receipt.executorRefs.map(executorRef => EXECUTOR.decode(store.read(executorRef))),
  }
}
