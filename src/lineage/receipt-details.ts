import {
  COMMAND,
  type Command,
  ENVIRONMENT,
  type Environment,
  EXECUTOR,
  type Executor,
  INPUT_MANIFEST,
  OUTPUT_MANIFEST,
  type Receipt,
  type Reference,
  type StepRecord,
  type Structure,
} from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'

/** What a deterministic receipt names, decoded. */
export interface ReceiptDetails extends StepRecord {
  readonly receipt: Receipt
}

/**
 * Decodes what receipts name, each artifact once: the steps of a build share environments, executors and commands,
 * and one object instead of thousands is what keeps a large graph small.
 */
export function receiptDetailsReader(store: StoreReader): (receipt: Receipt) => ReceiptDetails {
  const command = once<Command>(store, COMMAND)
  const environment = once<Environment>(store, ENVIRONMENT)
  const executor = once<Executor>(store, EXECUTOR)
  return receipt => ({
    receipt,
    command: command(receipt.functionRef),
    inputs: INPUT_MANIFEST.decode(store.read(receipt.inputManifestRef)),
    environment: environment(receipt.environmentRef),
    outputs: OUTPUT_MANIFEST.decode(store.read(receipt.outputRef)),
    executors: receipt.executorRefs.map(executor),
  })
}

function once<T>(store: StoreReader, layout: Structure<T>): (ref: Reference) => T {
  const known = new Map<Reference, T>()
  return ref => {
    const found = known.get(ref)
    if (found !== undefined) return found
    const value = layout.decode(store.read(ref))
    known.set(ref, value)
    return value
  }
}
