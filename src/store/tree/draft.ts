import { AslError, entryRef, KINDS, type Reference, TREE, type Tree, type TreeEntry } from '../../core/mod.ts'
import type { StoreReader, StoreWriter } from '../interface.ts'
import { settleLinks } from './links.ts'

/**
 * A folder of a tree that is being changed. Folders are read when they are opened and written when something in them
 * has changed: a changed file rewrites its path and nothing else.
 */
export interface DraftFolder {
  names(): readonly Buffer[]
  get(name: Buffer): TreeEntry | undefined
  /** Replaces what has this name; a folder entry keeps its content when its `ref` is that of the folder there. */
  set(entry: TreeEntry): void
  remove(name: Buffer): void
  /** The folder of this name, opened for change. @throws AslError PATH_NOT_FOUND */
  open(name: Buffer): DraftFolder
  /** A folder that is there afterwards, empty when there was none. Metadata of an existing one stays. */
  make(entry: Omit<TreeEntry, 'ref'> & { readonly type: 'd' }): DraftFolder
  /** Replaces the metadata of a folder that is there; its content stays. */
  describe(entry: Omit<TreeEntry, 'ref'> & { readonly type: 'd' }): void
  /** Writes what has changed. @returns the tree's reference */
  put(writer: StoreWriter): Reference
}

/** The top of a tree, opened for change. Hard links are mended when it is put: see {@link settleLinks}. */
export function openDraft(store: StoreReader, tree: Reference): DraftFolder {
  const losses: Losses = { areAny: false }
  const top = openFolder(store, tree, losses)
  return {
    ...top,
    put(writer) {
      if (losses.areAny) settleLinks(store, tree, top)
      return top.put(writer)
    },
  }
}

/** Whether anything that was there was removed or replaced, so that the first name of a file may be gone. */
interface Losses {
  areAny: boolean
}

function openFolder(store: StoreReader, tree: Reference, losses: Losses): DraftFolder {
  return draftFolder(store, TREE.decode(store.read(tree, MAX_TREE_BYTES)), tree, losses)
}

export function emptyDraft(store: StoreReader): DraftFolder {
  return draftFolder(store, { entries: [] }, undefined, { areAny: false })
}

const MAX_TREE_BYTES = 1024 ** 3

function draftFolder(store: StoreReader, tree: Tree, from: Reference | undefined, losses: Losses): DraftFolder {
  const keyOf = (name: Buffer): string => name.toString('latin1')
  const entries = new Map(tree.entries.map(entry => [keyOf(entry.name), entry]))
  const opened = new Map<string, DraftFolder>()
  let isChanged = from === undefined
  const folder: DraftFolder = {
    names: () => [...entries.values()].map(entry => entry.name),
    get: name => entries.get(keyOf(name)),
    set(entry) {
      const key = keyOf(entry.name)
      if (entry.type !== 'd' || entries.get(key)?.ref !== entry.ref) opened.delete(key)
      if (entries.has(key)) losses.areAny = true
      entries.set(key, entry)
      isChanged = true
    },
    remove(name) {
      opened.delete(keyOf(name))
      if (!entries.delete(keyOf(name))) return
      losses.areAny = true
      isChanged = true
    },
    open(name) {
      const key = keyOf(name)
      const known = opened.get(key)
      if (known !== undefined) return known
      const entry = entries.get(key)
      if (entry?.type !== 'd') throw new AslError('PATH_NOT_FOUND', `No folder "${name.toString('utf8')}" in the tree`)
      const child = openFolder(store, entryRef(entry), losses)
      opened.set(key, child)
      return child
    },
    make(entry) {
      const key = keyOf(entry.name)
      if (entries.get(key)?.type === 'd') return folder.open(entry.name)
      const child = draftFolder(store, { entries: [] }, undefined, losses)
      opened.set(key, child)
      entries.set(key, entry)
      isChanged = true
      return child
    },
    describe(entry) {
      const { ref } = entries.get(keyOf(entry.name)) ?? {}
      entries.set(keyOf(entry.name), ref === undefined ? entry : { ...entry, ref })
      isChanged = true
    },
    put(writer) {
      for (const [key, child] of opened) {
        const entry = entries.get(key) as TreeEntry
        const ref = child.put(writer)
        if (ref === entry.ref) continue
        entries.set(key, { ...entry, ref })
        isChanged = true
      }
      if (!isChanged && from !== undefined) return from
      return writer.put(TREE.encode({ ...tree, entries: [...entries.values()] }), KINDS['asl.tree'])
    },
  }
  return folder
}
