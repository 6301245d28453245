import {
  decodeEdge,
  decodeReceipt,
  ENVIRONMENT,
  EXECUTOR,
  INPUT_MANIFEST,
  OUTPUT_MANIFEST,
  type Reference,
  TAG_EDGE,
  TAG_RECEIPT,
  TREE,
  type TypeTag,
} from '../core/mod.ts'
import type { StoreReader } from './interface.ts'

/** What an artifact names: the entries of a tree, the parts of a receipt. Content and unknown kinds name nothing. */
export function referencesIn(typeTag: TypeTag | undefined, bytes: Uint8Array): Reference[] {
  const some = (...references: (Reference | undefined)[]): Reference[] => references.filter(ref => ref !== undefined)
  switch (typeTag) {
    case TREE.typeTag:
      return some(...TREE.decode(bytes).entries.map(entry => entry.ref))
    case INPUT_MANIFEST.typeTag:
      return INPUT_MANIFEST.decode(bytes).entries.map(entry => entry.ref)
    case OUTPUT_MANIFEST.typeTag:
      return OUTPUT_MANIFEST.decode(bytes).entries.map(entry => entry.ref)
    case ENVIRONMENT.typeTag:
      return some(ENVIRONMENT.decode(bytes).rootRef)
    case EXECUTOR.typeTag:
      return some(EXECUTOR.decode(bytes).sourceRef)
    case TAG_RECEIPT: {
      const receipt = decodeReceipt(bytes)
      return some(
        receipt.functionRef,
        receipt.inputManifestRef,
        receipt.environmentRef,
        receipt.outputRef,
        ...receipt.executorRefs,
        ...receipt.parity.map(entry => entry.sbomRef),
      )
    }
    case TAG_EDGE: {
      const edge = decodeEdge(bytes)
      return [...edge.from, ...edge.to, edge.payload]
    }
    default:
      return []
  }
}

export interface ReachedArtifact {
  readonly reference: Reference
  readonly typeTag: TypeTag | undefined
  readonly sizeBytes: number
}

/**
 * Everything that can be reached from `roots`, each once, verified as it is read; the order is that of discovery. What a
 * store declares absent is passed over.
 * @throws what reading an artifact throws: STORE_NOT_FOUND names the first one that is missing
 */
export function* reachableFrom(store: StoreReader, roots: Iterable<Reference>): Iterable<ReachedArtifact> {
  const waiting = [...roots].reverse()
  const seen = new Set<Reference>(waiting)
  for (let reference = waiting.pop(); reference !== undefined; reference = waiting.pop()) {
    const stat = store.tryStat(reference)
    if (stat === undefined && store.isDeclaredAbsent(reference)) continue
    if (stat?.typeTag === undefined) {
      for (const _ of store.chunks(reference)); // throws when it is missing or damaged
    } else {
      for (const next of referencesIn(stat.typeTag, store.read(reference))) {
        if (seen.has(next)) continue
        seen.add(next)
        waiting.push(next)
      }
    }
    yield { reference, typeTag: stat?.typeTag, sizeBytes: stat?.sizeBytes ?? 0 }
  }
}
