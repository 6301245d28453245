import { compareBytes, entryRef, type Reference, type TreeEntry } from '../core/mod.ts'
import { type BytePath, joinPath, ROOT_PATH } from './byte-path.ts'
import { changedFields, type Retouch } from './origin.ts'
import { contentKey } from './step-sources.ts'
import type { TreeReader } from './tree-reader.ts'

/** One path at which two trees differ. */
export interface TreeDifference {
  readonly path: BytePath
  readonly kind: 'added' | 'removed' | 'changed'
  /** What differs where both have the path: `type`, `content`, or metadata. */
  readonly fields: readonly DifferenceField[]
  readonly a: TreeEntry | undefined
  readonly b: TreeEntry | undefined
}

export type DifferenceField = 'type' | 'content' | Retouch['fields'][number]

export interface TreeSide {
  readonly trees: TreeReader
  /** Absent stands for an empty tree. */
  readonly tree: Reference | undefined
}

/**
 * Compares two trees, folder by folder, names in order of their bytes. Folders with equal references are skipped whole,
 * so that the cost goes with what differs. What only one side has is reported with everything below it. A further name
 * of a hard-linked file in an equal folder is not repeated: its first name tells.
 */
export function* diffTrees(a: TreeSide, b: TreeSide): Iterable<TreeDifference> {
  const stack: FolderPair[] = [{ path: ROOT_PATH, a: a.tree, b: b.tree }]
  for (let pair = stack.pop(); pair !== undefined; pair = stack.pop()) {
    if (pair.a === pair.b) continue
    const folders: FolderPair[] = []
    for (const [left, right] of pairs(entriesOf(a, pair.a), entriesOf(b, pair.b))) {
      const path = joinPath(pair.path, (left ?? right)?.name ?? '')
      const found = difference(path, sideEntry(a, left), sideEntry(b, right))
      if (found !== undefined) yield found
      if (left?.type === 'd' || right?.type === 'd') folders.push({ path, a: folderRef(left), b: folderRef(right) })
    }
    stack.push(...folders.reverse())
  }
}

export interface DiffCounts {
  readonly added: number
  readonly removed: number
  readonly changed: number
}

/** How many paths other than folders differ in more than their times. */
export function countDifferences(differences: Iterable<TreeDifference>): DiffCounts {
  const counts = { added: 0, removed: 0, changed: 0 }
  for (const { kind, fields, a, b } of differences) {
    const isFolder = (a ?? b)?.type === 'd'
    if (!isFolder && !(fields.length === 1 && fields[0] === 'mtime')) counts[kind]++
  }
  return counts
}

interface FolderPair {
  readonly path: BytePath
  readonly a: Reference | undefined
  readonly b: Reference | undefined
}

interface SideEntry extends TreeSide {
  readonly tree: Reference
  readonly entry: TreeEntry
}

function sideEntry({ trees, tree }: TreeSide, entry: TreeEntry | undefined): SideEntry | undefined {
  return tree === undefined || entry === undefined ? undefined : { trees, tree, entry }
}

function difference(path: BytePath, a: SideEntry | undefined, b: SideEntry | undefined): TreeDifference | undefined {
  const [left, right] = [a?.entry, b?.entry]
  if (a === undefined) return { path, kind: 'added', fields: [], a: left, b: right }
  if (b === undefined) return { path, kind: 'removed', fields: [], a: left, b: right }
  const fields: DifferenceField[] = [...changedFields(a.entry, b.entry)]
  if (a.entry.type !== b.entry.type) fields.unshift('type')
  else if (contentKey(a.trees, a.tree, a.entry) !== contentKey(b.trees, b.tree, b.entry)) fields.unshift('content')
  return fields.length === 0 ? undefined : { path, kind: 'changed', fields, a: left, b: right }
}

/** Both lists ascend by the bytes of the name. */
function* pairs(
  left: readonly TreeEntry[],
  right: readonly TreeEntry[],
): Iterable<[TreeEntry | undefined, TreeEntry | undefined]> {
  let [i, j] = [0, 0]
  while (i < left.length || j < right.length) {
    const [a, b] = [left[i], right[j]]
    const order = a === undefined ? 1 : b === undefined ? -1 : compareBytes(a.name, b.name)
    if (order <= 0) i++
    if (order >= 0) j++
    yield [order <= 0 ? a : undefined, order >= 0 ? b : undefined]
  }
}

function entriesOf(side: TreeSide, folder: Reference | undefined): readonly TreeEntry[] {
  return folder === undefined ? [] : [...side.trees.entriesOf(folder, ROOT_PATH)]
}

function folderRef(entry: TreeEntry | undefined): Reference | undefined {
  return entry?.type === 'd' ? entryRef(entry) : undefined
}
