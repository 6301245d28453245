import { entryRef, type Reference, TREE, type TreeEntry } from '../../core/mod.ts'
import type { StoreReader } from '../interface.ts'
import { joinPath } from './path.ts'
import { readTree } from './walk.ts'

export interface TreeChange {
  /** From the top of the tree. */
  readonly path: Buffer
  /** `undefined`: it was added. */
  readonly before: TreeEntry | undefined
  /** `undefined`: it was removed. */
  readonly after: TreeEntry | undefined
}

/**
 * What differs between two trees, in byte order of names at each level; folders that are equal are not read. A folder is
 * a change itself only when its own metadata differs, or it came or went; then what lies in it is named as well. A
 * further name of a hard-linked file is equal when it names the same first name: a change of content shows there.
 */
export function* diffTrees(store: StoreReader, before: Reference, after: Reference): Iterable<TreeChange> {
  yield* diffFolders(store, before, after, EMPTY)
}

const EMPTY = Buffer.alloc(0)

function* diffFolders(
  store: StoreReader,
  before: Reference | undefined,
  after: Reference | undefined,
  path: Buffer,
): Iterable<TreeChange> {
  if (before === after) return
  const [olds, news] = [entriesOf(store, before), entriesOf(store, after)]
  let [i, j] = [0, 0]
  while (i < olds.length || j < news.length) {
    const [old, fresh] = [olds[i], news[j]]
    const order = old === undefined ? 1 : fresh === undefined ? -1 : Buffer.compare(old.name, fresh.name)
    if (order <= 0) i++
    if (order >= 0) j++
    yield* diffEntries(store, order <= 0 ? old : undefined, order >= 0 ? fresh : undefined, path)
  }
}

function* diffEntries(
  store: StoreReader,
  before: TreeEntry | undefined,
  after: TreeEntry | undefined,
  folder: Buffer,
): Iterable<TreeChange> {
  const entry = before ?? after
  if (entry === undefined) return
  const path = joinPath(folder, entry.name)
  if (before === undefined || after === undefined || !isSameEntry(before, after)) yield { path, before, after }
  yield* diffFolders(store, childOf(before), childOf(after), path)
}

function childOf(entry: TreeEntry | undefined): Reference | undefined {
  return entry?.type === 'd' ? entryRef(entry) : undefined
}

/** Equal but for the content of a folder. */
function isSameEntry(a: TreeEntry, b: TreeEntry): boolean {
  const own = (entry: TreeEntry): Buffer => {
    const { ref, ...rest } = entry
    const kept = entry.type === 'd' ? { ...rest, ref: NO_CONTENT } : entry
    return TREE.encode({ entries: [kept as TreeEntry] })
  }
  return own(a).equals(own(b))
}

const NO_CONTENT = TREE.referenceOf({ entries: [] })

function entriesOf(store: StoreReader, tree: Reference | undefined): readonly TreeEntry[] {
  return tree === undefined ? [] : readTree(store, tree).entries
}
