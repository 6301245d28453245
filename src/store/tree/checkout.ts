import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { AslError, entryRef, type Reference, type TreeEntry, type TreeEntryType } from '../../core/mod.ts'
import { errnoOf, ioError, mknod, setXattr, writeAll } from '../../sys/mod.ts'
import type { StoreReader } from '../interface.ts'
import { inPathOrder } from './ingest.ts'
import { joinPath, showPath } from './path.ts'
import { readTree, resolvePath } from './walk.ts'

export interface CheckoutOptions {
  /** What an entry without mtime gets: SOURCE_DATE_EPOCH in whole seconds. Default 0. */
  readonly epoch?: number
  /** Whether owners are set. Default: when this process runs as root. */
  readonly isOwnerRestored?: boolean
  /** What happens with devices and attributes that this process may not make. Default `fail`. */
  readonly unpermitted?: 'fail' | 'skip'
  /** A foreign tree can name the same folder again and again: above this many entries it is refused. Default 20 million. */
  readonly maxEntries?: number
  readonly onEntry?: (path: Buffer, sizeBytes: number) => void
  readonly signal?: AbortSignal
}

export interface CheckedOut {
  readonly entryCount: number
  readonly sizeBytes: number
  /** Paths of devices and attributes that were left out. */
  readonly skipped: readonly string[]
}

/**
 * Writes a tree from the store to `target`, an empty or new folder. The tree may come from anywhere: names cannot leave
 * the folder, every entry is created anew (nothing is followed or overwritten), and a hard link only ever joins a file
 * that this checkout has made.
 * @throws AslError STORE_EXISTS when the target is not empty, TREE_INVALID, HOST_UNSUPPORTED for what may not be made here
 */
export function checkoutTree(
  store: StoreReader,
  tree: Reference,
  target: string | Uint8Array,
  options: CheckoutOptions = {},
): CheckedOut {
  const root = Buffer.from(target as Uint8Array)
  const pass: Pass = {
    store,
    tree,
    root,
    options,
    isOwnerRestored: options.isOwnerRestored ?? process.geteuid?.() === 0,
    entryCount: 0,
    sizeBytes: 0,
    skipped: [],
  }
  makeTarget(root)
  const { top } = readTree(store, tree)
  fillFolder(pass, tree, root, EMPTY)
  finishFolder(pass, root, EMPTY, { name: EMPTY, type: 'd', ref: tree, ...(top ?? { mode: 0o755 }) })
  return { entryCount: pass.entryCount, sizeBytes: pass.sizeBytes, skipped: pass.skipped }
}

const EMPTY = Buffer.alloc(0)
const MOST_ENTRIES = 20_000_000

interface Pass {
  readonly store: StoreReader
  readonly tree: Reference
  readonly root: Buffer
  readonly options: CheckoutOptions
  readonly isOwnerRestored: boolean
  entryCount: number
  sizeBytes: number
  readonly skipped: string[]
}

function makeTarget(root: Buffer): void {
  creating(root, () => mkdirSync(root, { recursive: true }))
  if (readdirSync(root, { encoding: 'buffer' }).length > 0) {
    throw new AslError('STORE_EXISTS', `Cannot check out to ${showPath(root)}: the folder is not empty`)
  }
  chmodSync(root, 0o700)
}

/** In path order, so that the first name of a hard-linked file is there before the others. */
function fillFolder(pass: Pass, tree: Reference, folder: Buffer, path: Buffer): void {
  const { entries } = readTree(pass.store, tree)
  for (const entry of inPathOrder(
    entries,
    row => row.name,
    row => row.type === 'd',
  )) {
    pass.options.signal?.throwIfAborted()
    if (++pass.entryCount > (pass.options.maxEntries ?? MOST_ENTRIES)) {
      throw new AslError('LIMIT_EXCEEDED', `Tree ${pass.tree} has more than ${pass.entryCount - 1} entries`)
    }
    const hostPath = joinPath(folder, entry.name)
    const entryPath = joinPath(path, entry.name)
    createEntry(pass, hostPath, entryPath, entry)
    pass.options.onEntry?.(entryPath, entry.size ?? 0)
  }
}

function createEntry(pass: Pass, hostPath: Buffer, path: Buffer, entry: TreeEntry): void {
  const { type } = entry
  switch (type) {
    case 'd':
      creating(hostPath, () => mkdirSync(hostPath, 0o700))
      fillFolder(pass, entryRef(entry), hostPath, path)
      finishFolder(pass, hostPath, path, entry)
      return
    case 'f':
      if (entry.linkTo === undefined) writeFile(pass, hostPath, path, entry)
      else linkFile(pass, hostPath, path, entry.linkTo)
      return
    case 'l':
      creating(hostPath, () => symlinkSync(entry.target as Buffer, hostPath))
      break
    default: {
      const [major = 0, minor = 0] = entry.rdev ?? []
      if (!tryPermitted(pass, path, () => mknod(hostPath, NODE_TYPES[type] | 0o600, major, minor))) return
    }
  }
  if (pass.isOwnerRestored) creating(hostPath, () => lchownSync(hostPath, entry.uid ?? 0, entry.gid ?? 0))
  if (type !== 'l') creating(hostPath, () => chmodSync(hostPath, entry.mode))
  restoreXattrs(pass, hostPath, path, entry)
  const seconds = mtimeOf(pass, entry)
  creating(hostPath, () => lutimesSync(hostPath, seconds, seconds))
}

/** S_IFIFO and the like of inode(7). */
const NODE_TYPES: Readonly<Record<Exclude<TreeEntryType, 'f' | 'd' | 'l'>, number>> = {
  p: 0o010000,
  c: 0o020000,
  b: 0o060000,
  s: 0o140000,
}

function writeFile(pass: Pass, hostPath: Buffer, path: Buffer, entry: TreeEntry): void {
  const fd = creating(hostPath, () => openSync(hostPath, 'wx', 0o600))
  try {
    let position = 0
    for (const piece of pass.store.chunks(entryRef(entry))) {
      creating(hostPath, () => writeAll(fd, piece, position))
      position += piece.length
    }
    if (position !== entry.size) {
      throw new AslError('TREE_INVALID', `${showPath(path)} has ${position} bytes, its tree entry says ${entry.size}`)
    }
    pass.sizeBytes += position
    if (pass.isOwnerRestored) fchownSync(fd, entry.uid ?? 0, entry.gid ?? 0)
    fchmodSync(fd, entry.mode) // after the owner: a change of owner clears setuid
    restoreXattrs(pass, hostPath, path, entry)
    const seconds = mtimeOf(pass, entry)
    futimesSync(fd, seconds, seconds)
  } catch (error) {
    unlinkSync(hostPath) // never a file whose content did not verify
    throw error
  } finally {
    closeSync(fd)
  }
}

/** The tree decides what a path means here: in the target it holds exactly what the tree says, so no link is followed. */
function linkFile(pass: Pass, hostPath: Buffer, path: Buffer, linkTo: Buffer): void {
  const first = resolvePath(pass.store, pass.tree, linkTo)
  if (first?.type !== 'f' || first.linkTo !== undefined || Buffer.compare(linkTo, path) >= 0) {
    throw new AslError(
      'TREE_INVALID',
      `${showPath(path)} is a further name of ${showPath(linkTo)}, which is no earlier file`,
    )
  }
  creating(hostPath, () => linkSync(joinPath(pass.root, linkTo), hostPath))
}

/** Depth last: making entries inside changes a folder's time, and may need more rights than it will have. */
function finishFolder(pass: Pass, hostPath: Buffer, path: Buffer, entry: TreeEntry): void {
  if (pass.isOwnerRestored) creating(hostPath, () => lchownSync(hostPath, entry.uid ?? 0, entry.gid ?? 0))
  restoreXattrs(pass, hostPath, path, entry)
  creating(hostPath, () => chmodSync(hostPath, entry.mode))
  const seconds = mtimeOf(pass, entry)
  creating(hostPath, () => lutimesSync(hostPath, seconds, seconds))
}

function restoreXattrs(pass: Pass, hostPath: Buffer, path: Buffer, entry: TreeEntry): void {
  for (const [name, value] of entry.xattrs ?? []) {
    tryPermitted(pass, `${showPath(path)}#${showPath(name)}`, () => setXattr(hostPath, name, value))
  }
}

/** False when it may not be made here and the caller wants such things skipped. */
function tryPermitted(pass: Pass, what: Buffer | string, make: () => void): boolean {
  const shown = typeof what === 'string' ? what : showPath(what)
  try {
    make()
    return true
  } catch (error) {
    const errno = errnoOf(error)
    if (errno !== 'EPERM' && errno !== 'EACCES' && errno !== 'ENOTSUP' && errno !== 'EOPNOTSUPP') {
      throw ioError(error, `Cannot create ${shown}`)
    }
    if (pass.options.unpermitted === 'skip') {
      pass.skipped.push(shown)
      return false
    }
    throw new AslError('HOST_UNSUPPORTED', `Cannot create ${shown}: ${errno}`, {
      hint: 'Check out as root, on a file system with extended attributes, or leave such entries out.',
      cause: error,
    })
  }
}

function mtimeOf(pass: Pass, entry: TreeEntry): number {
  return entry.mtime ?? pass.options.epoch ?? 0
}

function creating<T>(hostPath: Buffer, create: () => T): T {
  try {
    return create()
  } catch (error) {
    throw ioError(error, `Cannot create ${showPath(hostPath)}`)
  }
}
