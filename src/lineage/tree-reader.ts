import { AslError, entryRef, KINDS, type Reference, TREE, type Tree, type TreeEntry } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { type BytePath, joinPath, normalizeBytePath, partsOf, ROOT_PATH, showPath } from './byte-path.ts'

/**
 * Reads trees by path. Decoded folders are kept up to a bound, so that asking about each of 30,000 files in a dozen
 * versions of a root costs a map look-up per folder and version.
 */
export interface TreeReader {
  /** The entry at exactly this path; no link on the way is followed. `undefined` when there is none. */
  tryEntry(tree: Reference, path: BytePath): TreeEntry | undefined
  /**
   * The entry that a program would find there: links are followed inside the tree, the last one too unless told not to.
   * @throws AslError PATH_NOT_FOUND, TREE_INVALID for a circle of links
   */
  resolve(tree: Reference, path: BytePath, options?: { readonly keepLast?: boolean }): ResolvedPath
  /** The entries of one folder, names ascending by their bytes; none when there is no such folder. */
  entriesOf(tree: Reference, folder: BytePath): Iterable<TreeEntry>
  /** Every entry below the top, parents first, names ascending by their bytes. */
  walk(tree: Reference): Iterable<TreePath>
  /** The content of a regular file, also through a hard link. */
  contentOf(tree: Reference, entry: TreeEntry): Reference | undefined
}

export interface TreePath {
  readonly path: BytePath
  readonly entry: TreeEntry
}

export interface ResolvedPath extends TreePath {
  /** Links that were followed, in order. */
  readonly links: readonly FollowedLink[]
}

export interface FollowedLink {
  readonly path: BytePath
  /** As the link says it. */
  readonly target: string
}

/** As many as Linux follows before it says ELOOP (path_resolution(7)). */
const MAX_LINKS = 40
/** PATH_MAX: no kernel makes a longer link. */
const MAX_TARGET_BYTES = 4096
/** Folders nest no deeper than PATH_MAX allows (4096 bytes, two for each level). */
const MAX_DEPTH = 2048
const CACHED_ENTRIES = 60_000
/** Trees share folders: a few kilobytes can name more paths than there are atoms, so a walk is counted. */
const MAX_WALKED = 10_000_000

type Folder = ReadonlyMap<string, TreeEntry>

export function treeReader(store: StoreReader): TreeReader {
  const folderOf = folderCache(store)
  const tryEntry = (tree: Reference, path: BytePath): TreeEntry | undefined => {
    const parts = partsOf(path)
    let folder = tree
    for (const [i, part] of parts.entries()) {
      const entry = folderOf(folder).get(part)
      if (entry === undefined || i === parts.length - 1) return entry
      if (entry.type !== 'd') return undefined
      folder = entryRef(entry)
    }
    return { name: Buffer.alloc(0), type: 'd', mode: 0, ref: tree }
  }
  return {
    tryEntry,
    resolve: (tree, path, options = {}) => resolve({ tree, path, ...options }, tryEntry, store.location),
    contentOf: (tree, entry) => {
      if (entry.type !== 'f') return undefined
      if (entry.linkTo === undefined) return entryRef(entry)
      const first = tryEntry(tree, normalizeBytePath(entry.linkTo.toString('latin1')))
      return first?.type === 'f' && first.linkTo === undefined ? entryRef(first) : undefined
    },
    entriesOf: (tree, path) => {
      const entry = tryEntry(tree, path)
      return entry?.type === 'd' ? folderOf(entryRef(entry)).values() : []
    },
    *walk(tree) {
      const stack: { readonly path: BytePath; readonly ref: Reference }[] = [{ path: ROOT_PATH, ref: tree }]
      let walked = 0
      for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
        const folders: typeof stack = []
        for (const [name, entry] of folderOf(top.ref)) {
          const path = joinPath(top.path, name)
          if (++walked > MAX_WALKED) {
            throw new AslError(
              'LIMIT_EXCEEDED',
              `Tree ${tree} of ${store.location} has more than ${MAX_WALKED} entries`,
            )
          }
          yield { path, entry }
          if (entry.type === 'd') folders.push({ path, ref: entryRef(entry) })
        }
        if (top.path.length > 2 * MAX_DEPTH) throw tooDeep(store.location, top.path)
        stack.push(...folders.reverse())
      }
    },
  }
}

function resolve(
  wanted: { readonly tree: Reference; readonly path: BytePath; readonly keepLast?: boolean },
  tryEntry: TreeReader['tryEntry'],
  location: string,
): ResolvedPath {
  const { tree, path } = wanted
  const links: FollowedLink[] = []
  const todo = [...partsOf(path)].reverse()
  let here = ROOT_PATH
  let entry = tryEntry(tree, ROOT_PATH)
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '..') {
      here = normalizeBytePath(`${here}/..`)
      entry = tryEntry(tree, here)
      continue
    }
    if (part === '.' || part === '') continue
    const next = joinPath(here, part)
    entry = tryEntry(tree, next)
    if (entry === undefined) {
      const via = next === path ? '' : ` (asked for as ${showPath(path)})`
      throw new AslError('PATH_NOT_FOUND', `No ${showPath(next)}${via} in tree ${tree} of ${location}`)
    }
    if (entry.type !== 'l' || (wanted.keepLast === true && todo.length === 0)) {
      here = next
      continue
    }
    const target = entry.target?.toString('latin1') ?? ''
    links.push({ path: next, target })
    if (links.length > MAX_LINKS || target.length > MAX_TARGET_BYTES) {
      const what = links.length > MAX_LINKS ? `more than ${MAX_LINKS} links` : `a link of ${target.length} bytes`
      throw new AslError('TREE_INVALID', `${showPath(path)} in tree ${tree} leads through ${what}`)
    }
    if (target.startsWith('/')) here = ROOT_PATH
    entry = tryEntry(tree, here)
    todo.push(...target.split('/').reverse())
  }
  if (entry === undefined) throw new AslError('PATH_NOT_FOUND', `No ${showPath(path)} in tree ${tree} of ${location}`)
  return { path: here, entry, links }
}

/** Least recently used folders go first once the bound is reached; a Map keeps the order of insertion. */
function folderCache(store: StoreReader): (ref: Reference) => Folder {
  const cache = new Map<Reference, Folder>()
  let entries = 0
  return ref => {
    const known = cache.get(ref)
    if (known !== undefined) {
      cache.delete(ref)
      cache.set(ref, known)
      return known
    }
    const folder = readFolder(store, ref)
    cache.set(ref, folder)
    entries += folder.size + 1
    for (const [oldest, value] of cache) {
      if (entries <= CACHED_ENTRIES || oldest === ref) break
      cache.delete(oldest)
      entries -= value.size + 1
    }
    return folder
  }
}

function readFolder(store: StoreReader, ref: Reference): Folder {
  const stat = store.tryStat(ref)
  if (stat !== undefined && stat.typeTag !== KINDS['asl.tree']) {
    throw new AslError('TREE_INVALID', `${ref} in ${store.location} is no tree`)
  }
  const tree: Tree = TREE.decode(store.read(ref))
  return new Map(tree.entries.map(entry => [entry.name.toString('latin1'), entry]))
}

function tooDeep(location: string, path: BytePath): AslError {
  return new AslError(
    'TREE_INVALID',
    `A tree of ${location} is nested deeper than ${MAX_DEPTH}: ${showPath(path).slice(0, 200)}…`,
  )
}
