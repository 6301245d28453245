import { type Reference, TREE, type Tree, type TreeEntry } from '../../core/mod.ts'
import type { StoreWriter } from '../../store/mod.ts'

/** What a name in a tree has beside its content. */
export interface Metadata {
  /** 0..07777 */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whole seconds since 1970; `undefined` leaves it to the epoch of the build. */
  readonly mtime: number | undefined
  readonly xattrs: readonly (readonly [name: Buffer, value: Buffer])[]
}

/**
 * A tree while it is made, in memory: names and references, never content. Names are bytes, kept as latin1 text, so
 * that any name survives and text order is byte order. Several names of one file share one `FileNode`.
 */
export type Node = FolderNode | FileNode | LinkNode | DeviceNode

export interface FolderNode {
  readonly type: 'd'
  metadata: Metadata
  readonly children: Map<string, Node>
  readonly owner: string
}

export interface FileNode {
  readonly type: 'f'
  readonly metadata: Metadata
  readonly reference: Reference
  readonly sizeBytes: number
  /** Who brought it, for messages: a package, an overlay. */
  readonly owner: string
}

export interface LinkNode {
  readonly type: 'l'
  readonly metadata: Metadata
  readonly target: Buffer
  readonly owner: string
}

export interface DeviceNode {
  readonly type: 'c' | 'b' | 'p'
  readonly metadata: Metadata
  readonly rdev: readonly [major: number, minor: number] | undefined
  readonly owner: string
}

export function folderNode(metadata: Metadata, owner: string): FolderNode {
  return { type: 'd', metadata, owner, children: new Map() }
}

/** Writes the tree below `top`, folders after what they hold. @returns the reference of the top tree */
export function putTree(writer: StoreWriter, top: FolderNode): Reference {
  const firstNames = firstNamesOfShared(top)
  const put = (folder: FolderNode, path: string, isTop: boolean): Reference => {
    const entries: TreeEntry[] = []
    for (const [name, node] of folder.children) {
      const childPath = path === '' ? name : `${path}/${name}`
      entries.push(entryOf(name, node, childPath))
    }
    const tree: Tree = { entries, ...(isTop ? { top: topOf(folder.metadata) } : {}) }
    return writer.put(TREE.encode(tree), TREE.typeTag)
  }
  const entryOf = (name: string, node: Node, path: string): TreeEntry => {
    const common = { name: Buffer.from(name, 'latin1'), type: node.type, ...metadataOf(node.metadata) }
    switch (node.type) {
      case 'd':
        return { ...common, ref: put(node, path, false) }
      case 'l':
        return { ...common, target: node.target }
      case 'f': {
        const first = firstNames.get(node)
        if (first !== undefined && first !== path) return { ...common, linkTo: Buffer.from(first, 'latin1') }
        return { ...common, ref: node.reference, size: node.sizeBytes }
      }
      default:
        return { ...common, ...(node.rdev === undefined ? {} : { rdev: node.rdev }) }
    }
  }
  return put(top, '', true)
}

/** Files with several names: node → the path that is first in byte order. */
function firstNamesOfShared(top: FolderNode): Map<FileNode, string> {
  const paths = new Map<FileNode, string>()
  const shared = new Map<FileNode, string>()
  const visit = (folder: FolderNode, prefix: string): void => {
    for (const [name, node] of folder.children) {
      const path = `${prefix}${name}`
      if (node.type === 'd') visit(node, `${path}/`)
      if (node.type !== 'f') continue
      const earlier = paths.get(node)
      if (earlier !== undefined) {
        const first = earlier < path ? earlier : path
        paths.set(node, first)
        shared.set(node, first)
      } else {
        paths.set(node, path)
      }
    }
  }
  visit(top, '')
  return shared
}

function metadataOf(metadata: Metadata): Omit<TreeEntry, 'name' | 'type'> {
  const { mode, uid, gid, mtime, xattrs } = metadata
  return {
    mode,
    ...(uid === 0 ? {} : { uid }),
    ...(gid === 0 ? {} : { gid }),
    ...(mtime === undefined ? {} : { mtime }),
    ...(xattrs.length === 0 ? {} : { xattrs }),
  }
}

function topOf(metadata: Metadata): NonNullable<Tree['top']> {
  return metadataOf(metadata)
}
