import { entryRef, type Reference, type TreeEntry } from '../../core/mod.ts'
import type { StoreReader } from '../interface.ts'
import type { DraftFolder } from './draft.ts'
import { joinPath, splitPath } from './path.ts'
import { readTree, resolvePath } from './walk.ts'

export interface LinkedName {
  /** From the top of the tree that was asked about. */
  readonly path: Buffer
  /** The first name of that file, from the top of the whole tree. */
  readonly linkTo: Buffer
}

/** Further names of hard-linked files in a tree. What was once found of a directory is remembered as long as the store. */
export function linkedNames(store: StoreReader, tree: Reference): readonly LinkedName[] {
  let known = remembered.get(store)
  if (known === undefined || known.size > MOST_REMEMBERED) {
    known = new Map()
    remembered.set(store, known)
  }
  return namesBelow(store, tree, known)
}

const remembered = new WeakMap<StoreReader, Map<Reference, readonly LinkedName[]>>()
const MOST_REMEMBERED = 200_000
const NONE: readonly LinkedName[] = []

function namesBelow(
  store: StoreReader,
  tree: Reference,
  known: Map<Reference, readonly LinkedName[]>,
): readonly LinkedName[] {
  const before = known.get(tree)
  if (before !== undefined) return before
  const found: LinkedName[] = []
  for (const entry of readTree(store, tree).entries) {
    if (entry.linkTo !== undefined) found.push({ path: entry.name, linkTo: entry.linkTo })
    if (entry.type !== 'd') continue
    for (const { path, linkTo } of namesBelow(store, entryRef(entry), known)) {
      found.push({ path: joinPath(entry.name, path), linkTo })
    }
  }
  known.set(tree, found.length === 0 ? NONE : found)
  return known.get(tree) ?? NONE
}

/**
 * Mends hard links after a tree was changed: when a first name has gone or stands for something else now, the names that
 * are left keep the content they had, and the first of them carries it.
 */
export function settleLinks(store: StoreReader, base: Reference, top: DraftFolder): void {
  const furtherNames = new Map<string, Buffer[]>()
  for (const { path, linkTo } of linkedNames(store, base)) {
    const key = linkTo.toString('latin1')
    const names = furtherNames.get(key)
    if (names === undefined) furtherNames.set(key, [path])
    else names.push(path)
  }
  for (const [key, names] of furtherNames) {
    const first = Buffer.from(key, 'latin1')
    const before = resolvePath(store, base, first)
    if (before?.type !== 'f' || before.ref === undefined || before.size === undefined) continue
    const now = entryAt(top, first)
    if (now?.type === 'f' && now.ref === before.ref) continue
    const left = names.filter(path => entryAt(top, path)?.linkTo?.equals(first) === true).sort(Buffer.compare)
    const moved = now?.linkTo === undefined ? undefined : entryAt(top, now.linkTo)
    if (now?.linkTo !== undefined && moved?.ref === before.ref) {
      // The file has got a name that comes before all others.
      for (const path of left) change(top, path, entry => ({ ...entry, linkTo: now.linkTo as Buffer }))
      continue
    }
    const [carrier, ...others] = left
    if (carrier === undefined) continue
    const { ref, size } = before
    change(top, carrier, ({ linkTo: _, ...entry }) => ({ ...entry, ref, size }))
    for (const path of others) change(top, path, entry => ({ ...entry, linkTo: carrier }))
  }
}

function entryAt(top: DraftFolder, path: Buffer): TreeEntry | undefined {
  const found = folderOf(top, path)
  return found?.folder.get(found.name)
}

function change(top: DraftFolder, path: Buffer, by: (entry: TreeEntry) => TreeEntry): void {
  const found = folderOf(top, path)
  const entry = found?.folder.get(found.name)
  if (found !== undefined && entry !== undefined) found.folder.set(by(entry))
}

function folderOf(top: DraftFolder, path: Buffer): { folder: DraftFolder; name: Buffer } | undefined {
  const names = splitPath(path)
  const name = names.pop()
  if (name === undefined) return undefined
  let folder = top
  for (const step of names) {
    if (folder.get(step)?.type !== 'd') return undefined
    folder = folder.open(step)
  }
  return { folder, name }
}
