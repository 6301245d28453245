import { AslError, entryRef, type Reference, TREE, type Tree, type TreeEntry } from '../../core/mod.ts'
import type { StoreReader } from '../interface.ts'
import { joinPath, splitPath } from './path.ts'

export interface WalkedEntry {
  /** From the top of the tree, without a leading slash. */
  readonly path: Buffer
  readonly entry: TreeEntry
}

/** Deeper than any file system holds; a foreign tree must not make paths grow without end. */
const DEEPEST = 8192

/** @throws AslError TREE_INVALID when the artifact is no tree, and whatever reading it throws */
export function readTree(store: StoreReader, reference: Reference): Tree {
  const stat = store.tryStat(reference)
  if (stat !== undefined && stat.typeTag !== TREE.typeTag)
    throw new AslError('TREE_INVALID', `${reference} is not a tree`)
  return TREE.decode(store.read(reference))
}

/** Every entry, in byte order of full paths. Memory grows with the directories on one path, not with the tree. */
export function* walkTree(store: StoreReader, tree: Reference): Iterable<WalkedEntry> {
  const stack: Frame[] = [frameOf(store, tree, EMPTY)]
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const item = frame.items[frame.next++]
    if (item === undefined) {
      stack.pop()
      continue
    }
    const path = joinPath(frame.path, item.entry.name)
    if (!item.isContent) {
      yield { path, entry: item.entry }
      continue
    }
    if (stack.length >= DEEPEST)
      throw new AslError('TREE_INVALID', `Tree ${tree} is deeper than ${DEEPEST} directories`)
    stack.push(frameOf(store, entryRef(item.entry), path))
  }
}

const EMPTY = Buffer.alloc(0)

interface Frame {
  readonly path: Buffer
  readonly items: readonly Item[]
  next: number
}

/** A directory stands in the order twice: as an entry by its name, and with its content by its name and a slash. */
interface Item {
  readonly entry: TreeEntry
  readonly isContent: boolean
}

function frameOf(store: StoreReader, tree: Reference, path: Buffer): Frame {
  const keyed: { key: Buffer; item: Item }[] = []
  for (const entry of readTree(store, tree).entries) {
    keyed.push({ key: entry.name, item: { entry, isContent: false } })
    if (entry.type === 'd') {
      keyed.push({ key: Buffer.concat([entry.name, SLASH]), item: { entry, isContent: true } })
    }
  }
  keyed.sort((a, b) => Buffer.compare(a.key, b.key))
  return { path, items: keyed.map(({ item }) => item), next: 0 }
}

const SLASH = Buffer.from('/')

/**
 * The entry at a path, or `undefined`. Links are not followed: neither symbolic ones on the way, nor `linkTo`. The top
 * itself (an empty path) is given as an entry without a name.
 */
export function resolvePath(store: StoreReader, tree: Reference, path: Uint8Array | string): TreeEntry | undefined {
  const names = splitPath(path)
  let reference = tree
  if (names.length === 0) {
    const { top } = readTree(store, tree)
    return { name: EMPTY, type: 'd', ref: tree, ...(top ?? { mode: 0o755 }) }
  }
  for (const [i, name] of names.entries()) {
    const entry = findEntry(readTree(store, reference), name)
    if (entry === undefined || i === names.length - 1) return entry
    if (entry.type !== 'd') return undefined
    reference = entryRef(entry)
  }
  return undefined
}

/** The entry that carries the content of a file which may be a further name of another. */
export function resolveFile(store: StoreReader, tree: Reference, path: Uint8Array | string): TreeEntry | undefined {
  const entry = resolvePath(store, tree, path)
  return entry?.linkTo === undefined ? entry : resolvePath(store, tree, entry.linkTo)
}

export function findEntry(tree: Tree, name: Uint8Array): TreeEntry | undefined {
  let low = 0
  let high = tree.entries.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const entry = tree.entries[middle] as TreeEntry
    const order = Buffer.compare(entry.name, name)
    if (order === 0) return entry
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return undefined
}
