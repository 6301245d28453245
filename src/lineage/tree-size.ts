import { entryRef, isAslError, type Reference, TREE } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'

export interface TreeSize {
  readonly files: number
  readonly sizeBytes: number
}

/**
 * Counts the files below a tree. Each folder is read once however many trees hold it, since a folder is its content.
 * `undefined` for what the store does not hold, or what is no tree whatever a manifest calls it.
 */
export function treeSizes(store: StoreReader): (tree: Reference) => TreeSize | undefined {
  const known = new Map<Reference, TreeSize>()
  return tree => {
    if (!store.has(tree)) return undefined
    try {
      measure(store, tree, known)
    } catch (error) {
      if (isAslError(error, 'CBOR_NOT_CANONICAL', 'RECORD_INVALID', 'TREE_INVALID')) return undefined
      throw error
    }
    return known.get(tree)
  }
}

/** Depth first with a stack of its own: a hostile tree may nest deeper than the program's stack. */
function measure(store: StoreReader, top: Reference, known: Map<Reference, TreeSize>): void {
  const open: { readonly ref: Reference; readonly folders: Reference[]; files: number; sizeBytes: number }[] = []
  const enter = (ref: Reference): void => {
    const { entries } = TREE.decode(store.read(ref))
    const files = entries.filter(entry => entry.type === 'f' && entry.linkTo === undefined)
    const folders = entries.filter(entry => entry.type === 'd').map(entryRef)
    open.push({ ref, folders, files: files.length, sizeBytes: files.reduce((sum, file) => sum + (file.size ?? 0), 0) })
  }
  if (!known.has(top)) enter(top)
  for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
    const child = at.folders.at(-1)
    const size = child === undefined ? undefined : known.get(child)
    if (child === undefined) {
      known.set(at.ref, { files: at.files, sizeBytes: at.sizeBytes })
      open.pop()
    } else if (size !== undefined) {
      at.files += size.files
      at.sizeBytes += size.sizeBytes
      at.folders.pop()
    } else if (store.has(child)) {
      enter(child)
    } else {
      known.set(child, { files: 0, sizeBytes: 0 })
    }
  }
}
