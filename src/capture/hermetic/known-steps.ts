import { decodeReceipt, parseReference, parseSha256, type Reference, type Sha256, TAG_RECEIPT } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { tryReadFile, writeFileAtomic } from '../../sys/mod.ts'
import { type LoadedReceipt, loadReceipt } from '../receipts.ts'
import { declaredKey, type Step } from './step.ts'

/** Finds the receipt of a step that has run before. */
export interface KnownSteps {
  /** The receipt, when all that it made is still in the store. */
  find(step: Pick<Step, 'command' | 'environment' | 'inputs'>): LoadedReceipt | undefined
  /** Sees what has been committed since. */
  add(receiptRef: Reference): void
}

/**
 * Reads every receipt of the store once. The keys are remembered in `cachePath`, one line a receipt, so that the next
 * process only decodes what is new; losing the file costs that time and nothing else.
 */
export function openKnownSteps(store: StoreReader, cachePath: string): KnownSteps {
  const remembered = readCache(cachePath)
  const byKey = new Map<Sha256, Reference[]>()
  const remember = (ref: Reference, key: Sha256): void => {
    const refs = byKey.get(key)
    if (refs === undefined) byKey.set(key, [ref])
    else refs.push(ref)
  }
  const lines: string[] = []
  let isNew = false
  for (const ref of store.references(TAG_RECEIPT)) {
    let key = remembered.get(ref)
    if (key === undefined) {
      key = keyOf(store, ref)
      isNew = true
    }
    lines.push(`${ref} ${key}`)
    if (key !== RUN_HALF) remember(ref, parseSha256(key))
  }
  if (isNew) writeFileAtomic(cachePath, `${lines.join('\n')}\n`)
  return {
    find(step) {
      for (const ref of (byKey.get(declaredKey(step)) ?? []).toReversed()) {
        const known = loadReceipt(store, ref)
        if (known.outputs.entries.every(entry => store.has(entry.ref))) return known
      }
      return undefined
    },
    add: ref => remember(ref, declaredKeyOf(loadReceipt(store, ref))),
  }
}

/** Stands in the cache for a receipt that finds nothing: a run half. */
const RUN_HALF = '-'

function keyOf(store: StoreReader, ref: Reference): string {
  return decodeReceipt(store.read(ref)).run === undefined ? declaredKeyOf(loadReceipt(store, ref)) : RUN_HALF
}

function declaredKeyOf(loaded: LoadedReceipt): Sha256 {
  return declaredKey({ command: loaded.command, environment: loaded.environment, inputs: loaded.inputs.entries })
}

function readCache(path: string): Map<Reference, string> {
  const known = new Map<Reference, string>()
  for (const line of tryReadFile(path)?.toString('utf8').split('\n') ?? []) {
    const [ref, key] = line.split(' ')
    if (ref !== undefined && key !== undefined && /^(-|[0-9a-f]{64})$/.test(key)) known.set(parseReference(ref), key)
  }
  return known
}
