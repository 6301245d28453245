import { edgesOf, encodeEdge, entryRef, type Reference, referenceOf, TAG_EDGE, TREE } from '../core/mod.ts'
import { type LoadedReceipt, loadReceipt, type StoreReader } from '../store/mod.ts'

/** What a history store holds, and what it leaves out on purpose. */
export interface HistorySet {
  readonly present: ReadonlySet<Reference>
  /** Named by receipts and trees, left out: a replay makes it again, or the root file system holds it. */
  readonly absent: ReadonlySet<Reference>
}

/** A result so small is kept: hashes and descriptions that are read without a rebuild. */
const SMALL_RESULT_BYTES = 64 * 1024

export type HistoryProfile = 'full' | 'lineage'

/**
 * The closure of a build's receipts. What no step of the build made is a source: in profile `full` its content is
 * present, so that everything else can be made again from it. What a step made is present as trees and manifests, its
 * file contents are not: they would be there twice, once as packages and once as files.
 * @param keep contents of produced trees that stay all the same, such as the package database
 */
export function historySet(
  store: StoreReader,
  receiptRefs: readonly Reference[],
  profile: HistoryProfile,
  keep: Iterable<Reference>,
): HistorySet {
  const receipts = receiptRefs.map(ref => loadReceipt(store, ref))
  const produced = new Set(receipts.flatMap(receipt => receipt.outputs.entries.map(entry => entry.ref)))
  const present = new Set<Reference>(receiptRefs)
  const absent = new Set<Reference>()
  const seenTrees = new Set<string>()
  const addTree = (ref: Reference, areContentsKept: boolean): void => {
    const visit = `${areContentsKept} ${ref}`
    if (seenTrees.has(visit)) return
    seenTrees.add(visit)
    present.add(ref)
    for (const entry of TREE.decode(store.read(ref)).entries) {
      if (entry.type === 'd') addTree(entryRef(entry), areContentsKept)
      else if (entry.ref !== undefined) (areContentsKept ? present : absent).add(entry.ref)
    }
  }
  for (const receipt of receipts) {
    addStructures(receipt, present)
    for (const entry of [...receipt.inputs.entries, ...receipt.outputs.entries]) {
      const isSource = !produced.has(entry.ref)
      const isKept = isSource && (profile === 'full' || entry.role === 'lock' || entry.role === 'script')
      if (entry.role === 'tree' || entry.role === 'overlay') addTree(entry.ref, isKept)
      else if (entry.role === 'receipt') present.add(entry.ref)
      else (isKept || (entry.size ?? 0) <= SMALL_RESULT_BYTES ? present : absent).add(entry.ref)
    }
    if (receipt.environment.rootRef !== undefined) addTree(receipt.environment.rootRef, false)
  }
  for (const ref of keep) present.add(ref)
  addEdges(receipts, present)
  for (const ref of present) absent.delete(ref)
  return { present, absent }
}

function addStructures({ receipt }: LoadedReceipt, present: Set<Reference>): void {
  present.add(receipt.functionRef)
  present.add(receipt.inputManifestRef)
  present.add(receipt.environmentRef)
  present.add(receipt.outputRef)
  for (const ref of receipt.executorRefs) present.add(ref)
}

/**
 * The edges of these receipts, derived again: edges of other builds in the store may name the same receipts as inputs,
 * and must not get in, or the image would depend on what else the builder has built. No run half has a part in them.
 */
function addEdges(receipts: readonly LoadedReceipt[], present: Set<Reference>): void {
  for (const loaded of receipts) {
    for (const edge of edgesOf(loaded.receipt, loaded.ref, loaded)) present.add(referenceOf(encodeEdge(edge), TAG_EDGE))
  }
}
