import { AslError, type Reference } from '../../core/mod.ts'
import { hostile, parseArchivePath, shownBytes, type TarEntry } from '../../formats/mod.ts'
import { type FileNode, type FolderNode, folderNode, type Metadata, type Node } from './tree-nodes.ts'

/** The tree that packages are unpacked into, in memory. Rules of dpkg where packages meet; no file system takes part. */
export interface UnpackTree {
  readonly top: FolderNode
  /** @throws AslError ARCHIVE_HOSTILE, PACKAGE_CONFLICT */
  add(entry: TarEntry, content: StoredContent | undefined, from: UnpackingPackage): void
  /** A file of our own. Folders on the way are made. */
  addFile(path: string, content: StoredContent, mode: number): void
  addLink(path: string, target: string): void
  addFolder(path: string, mode: number): void
  /** The node at a path, links on the way followed within the tree; the last name is not. */
  tryFind(path: string): Node | undefined
}

export interface StoredContent {
  readonly reference: Reference
  readonly sizeBytes: number
}

export interface UnpackingPackage {
  readonly name: string
  /** The file, for messages. */
  readonly archive: string
  /** Whether this package says that it replaces files of the other. */
  replaces(packageName: string): boolean
  /** Whether the other package, which is unpacked already, says that it replaces files of this one. */
  isReplacedBy(packageName: string): boolean
}

const OURS = 'asl'
/** More links than this on the way to a name is a loop (Linux: 40, MAXSYMLINKS in namei.c). */
const MAX_LINKS = 40

export function unpackTree(): UnpackTree {
  const top = folderNode(metadataOf(0o755), OURS)

  const addOurs = (path: string, node: Node): void => {
    const names = path.split('/').filter(name => name !== '')
    const last = names.pop()
    if (last === undefined) throw new Error('the top of the tree is there already')
    const folder = walk(top, names, name => folderNode(metadataOf(0o755), `${OURS}: ${name}`))
    folder.children.set(last, node)
  }

  return {
    top,
    add(entry, content, from) {
      const names = parseArchivePath(entry.path, from.archive).map(name => name.toString('latin1'))
      const metadata = metadataOfEntry(entry)
      const last = names.pop()
      if (last === undefined) {
        if (entry.type !== 'd') throw hostile(from.archive, entry.path, 'it would replace the root')
        top.metadata = metadata
        return
      }
      const folder = folderFor(top, names, entry, from)
      const existing = folder.children.get(last)
      const node = nodeOf(entry, content, metadata, from, top)
      if (node.type === 'd') {
        if (existing === undefined) folder.children.set(last, node)
        else requireFolder(top, existing, entry, from)
      } else if (existing === undefined || mayReplace(existing, node, entry, from)) {
        folder.children.set(last, node)
      }
    },
    addFile(path, content, mode) {
      const { reference, sizeBytes } = content
      addOurs(path, { type: 'f', metadata: metadataOf(mode), owner: OURS, reference, sizeBytes })
    },
    addLink(path, target) {
      addOurs(path, { type: 'l', metadata: metadataOf(0o777), owner: OURS, target: Buffer.from(target) })
    },
    addFolder(path, mode) {
      addOurs(path, folderNode(metadataOf(mode), OURS))
    },
    tryFind(path) {
      const names = path.split('/').filter(name => name !== '')
      return resolve(top, names, { followLast: false })
    },
  }
}

/** dpkg makes folders that a package uses without shipping them; it happens in old packages only. */
function folderFor(top: FolderNode, names: readonly string[], entry: TarEntry, from: UnpackingPackage): FolderNode {
  const onLink = (link: Node, path: string): void => {
    // Links of other packages (usr-merge: /bin → usr/bin) are part of the layout; a package that lays a link and then
    // writes through it is after something else.
    if (link.owner === from.name) {
      throw hostile(from.archive, entry.path, `it lies behind "${path}", a link of the same package`)
    }
  }
  const found = resolve(top, names, { followLast: true, onLink, make: () => folderNode(metadataOf(0o755), from.name) })
  if (found?.type === 'd') return found
  throw hostile(from.archive, entry.path, `"${names.join('/')}" is no folder of the tree`)
}

interface ResolveOptions {
  readonly followLast: boolean
  readonly onLink?: (link: Node, path: string) => void
  /** Makes folders that are missing. */
  readonly make?: () => FolderNode
}

/** Walks names from the top as the kernel would with the tree as its root: `..` above the top stays at the top. */
function resolve(top: FolderNode, names: readonly string[], options: ResolveOptions): Node | undefined {
  const pending = [...names].reverse()
  const way: FolderNode[] = [top]
  let at: Node = top
  let links = 0
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const folder = way.at(-1) ?? top
    if (name === '' || name === '.') continue
    if (name === '..') {
      way.pop()
      at = way.at(-1) ?? top
      continue
    }
    let next = folder.children.get(name)
    if (next === undefined) {
      if (options.make === undefined) return undefined
      next = options.make()
      folder.children.set(name, next)
    }
    if (next.type === 'l' && (pending.length > 0 || options.followLast)) {
      options.onLink?.(next, name)
      if (++links > MAX_LINKS) return undefined
      const target = next.target.toString('latin1')
      if (target.startsWith('/')) way.length = 1
      pending.push(...target.split('/').reverse())
      at = way.at(-1) ?? top
      continue
    }
    at = next
    if (next.type === 'd') way.push(next)
    else if (pending.length > 0) return undefined
  }
  return at
}

function walk(top: FolderNode, names: readonly string[], make: (name: string) => FolderNode): FolderNode {
  const found = resolve(top, names, { followLast: true, make: () => make(names.join('/')) })
  if (found?.type !== 'd') throw new Error(`${names.join('/')} of the tree is no folder`)
  return found
}

function requireFolder(top: FolderNode, existing: Node, entry: TarEntry, from: UnpackingPackage): void {
  if (existing.type === 'd') return
  const isLinkToFolder =
    existing.type === 'l' &&
    existing.owner !== from.name &&
    resolve(top, parseTarget(entry, existing.target), { followLast: true })?.type === 'd'
  if (!isLinkToFolder) throw conflict(entry, existing, from)
}

/** A link's target as names from the top: the folder that holds the link comes first. */
function parseTarget(entry: TarEntry, target: Buffer): string[] {
  const text = target.toString('latin1')
  if (text.startsWith('/')) return text.split('/')
  const folder = parseArchivePath(entry.path, '').slice(0, -1)
  return [...folder.map(name => name.toString('latin1')), ...text.split('/')]
}

function nodeOf(
  entry: TarEntry,
  content: StoredContent | undefined,
  metadata: Metadata,
  from: UnpackingPackage,
  top: FolderNode,
): Node {
  const owner = from.name
  switch (entry.type) {
    case 'd':
      return folderNode(metadata, owner)
    case 'f':
      if (content === undefined) throw new Error('a file was added without its content')
      return { type: 'f', metadata, owner, ...content }
    case 'l':
      return { type: 'l', metadata, owner, target: entry.linkPath ?? Buffer.alloc(0) }
    case 'h':
      return linkedFile(entry, from, top)
    case 'p':
      return { type: 'p', metadata, owner, rdev: undefined }
    default:
      // policy 10.6: packages must not contain device files.
      throw hostile(from.archive, entry.path, 'it is a device, which no package may bring')
  }
}

function linkedFile(entry: TarEntry, from: UnpackingPackage, top: FolderNode): FileNode {
  const target = entry.linkPath ?? Buffer.alloc(0)
  const names = parseArchivePath(target, from.archive).map(name => name.toString('latin1'))
  const found = resolve(top, names, { followLast: false })
  if (found?.type === 'f' && found.owner === from.name) return found
  throw hostile(
    from.archive,
    entry.path,
    `it is a further name of "${shownBytes(target)}", no earlier file of this package`,
  )
}

/** Both packages ship the name: dpkg lets the one that says `Replaces` have it, in whichever order they come. */
function mayReplace(existing: Node, node: Node, entry: TarEntry, from: UnpackingPackage): boolean {
  if (existing.type !== 'd') {
    if (existing.owner === from.name) throw hostile(from.archive, entry.path, 'it is there twice')
    if (from.replaces(existing.owner)) return true
    if (from.isReplacedBy(existing.owner)) return false
    const isSameLink = existing.type === 'l' && node.type === 'l' && existing.target.equals(node.target)
    if (isSameLink) return false
  }
  throw conflict(entry, existing, from)
}

function conflict(entry: TarEntry, existing: Node, from: UnpackingPackage): AslError {
  return new AslError(
    'PACKAGE_CONFLICT',
    `Packages ${existing.owner} and ${from.name} both bring "${shownBytes(entry.path)}", and neither replaces the other`,
    { details: { path: shownBytes(entry.path), packages: [existing.owner, from.name] } },
  )
}

function metadataOf(mode: number): Metadata {
  return { mode, uid: 0, gid: 0, mtime: undefined, xattrs: [] }
}

function metadataOfEntry(entry: TarEntry): Metadata {
  const { uid, gid, mtime, xattrs } = entry
  // The mode of a link means nothing to Linux: every archiver writes another one.
  return { mode: entry.type === 'l' ? 0o777 : entry.mode, uid, gid, mtime, xattrs }
}
