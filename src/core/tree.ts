import { MAX_TREE_SIZE_BYTES } from './cbor.ts'
import { AslError } from './error.ts'
import type { Reference } from './reference.ts'
import {
  bytes,
  bytesMap,
  type Field,
  list,
  oneOf,
  optional,
  type RecordOf,
  record,
  reference,
  type Structure,
  sortedList,
  structure,
  uint,
} from './structure.ts'

/**
 * `asl.tree` is one directory: a change rewrites only the trees above it, equal folders are stored once, a comparison
 * skips what is equal (reference §8.4). Names are bytes: file names need not be UTF-8.
 */
export type Tree = RecordOf<typeof TREE_FIELDS>
export type TreeEntry = RecordOf<typeof ENTRY_FIELDS>
export type TreeEntryType = TreeEntry['type']

const ENTRY_FIELDS = {
  name: bytes,
  /** f file, d directory, l link, c/b device, p fifo, s socket. */
  type: oneOf('f', 'd', 'l', 'c', 'b', 'p', 's'),
  /** Permission bits with setuid, setgid and sticky: 0..07777. */
  mode: uint,
  /** Content of a file; the child `asl.tree` of a directory. */
  ref: optional(reference),
  /** Content size of a file. */
  size: optional(uint),
  target: optional(bytes),
  rdev: optional(list(uint)),
  /** Absent means 0. */
  uid: optional(uint),
  gid: optional(uint),
  /** Whole seconds since 1970; absent means SOURCE_DATE_EPOCH. */
  mtime: optional(uint),
  xattrs: optional(bytesMap),
  /** Path from the top tree to the name of this hard-linked file that is first in byte order. */
  linkTo: optional(bytes),
}

const TOP_FIELDS = {
  mode: uint,
  uid: optional(uint),
  gid: optional(uint),
  mtime: optional(uint),
  xattrs: optional(bytesMap),
}

/** Metadata of the top directory itself, which no entry names. */
export type TreeTop = RecordOf<typeof TOP_FIELDS>

const TREE_FIELDS = {
  entries: sortedList(record(ENTRY_FIELDS) as Field<TreeEntry>, entry => entry.name),
  top: optional(record(TOP_FIELDS)),
}

const layout = structure('asl.tree', TREE_FIELDS, { maxBytes: MAX_TREE_SIZE_BYTES })

export const TREE: Structure<Tree> = {
  ...layout,
  decode(wire) {
    const tree = layout.decode(wire)
    for (const entry of tree.entries) checkEntry(entry)
    return tree
  },
}

const LONGEST_NAME_BYTES = 255

/** A name that may be created below a folder: not empty, no `/`, no NUL, not `.` or `..`, at most 255 bytes. */
export function isEntryName(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > LONGEST_NAME_BYTES) return false
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return false
  return !name.includes(0x2f) && !name.includes(0)
}

/** Trees come from foreign stores: what an entry says decides what is created on this machine. */
function checkEntry(entry: TreeEntry): void {
  const fail = (reason: string): never => {
    throw new AslError('TREE_INVALID', `Tree entry ${JSON.stringify(entry.name.toString('latin1'))}: ${reason}`)
  }
  if (!isEntryName(entry.name)) fail('is not a name that a folder can hold')
  if (entry.mode > 0o7777) fail(`mode ${entry.mode.toString(8)} is beyond 7777`)
  const isLinkedFile = entry.linkTo !== undefined
  const wants = {
    ref: entry.type === 'd' || (entry.type === 'f' && !isLinkedFile),
    size: entry.type === 'f' && !isLinkedFile,
    target: entry.type === 'l',
    rdev: entry.type === 'c' || entry.type === 'b',
  }
  for (const key of ['ref', 'size', 'target', 'rdev'] as const) {
    if (wants[key] !== (entry[key] !== undefined))
      fail(`${key} is ${wants[key] ? 'missing' : 'not allowed'} for type ${entry.type}`)
  }
  if (entry.rdev !== undefined && entry.rdev.length !== 2) fail('rdev wants [major, minor]')
  if (isLinkedFile && entry.type !== 'f') fail('only a file can be a further name of a file')
}

/** The reference of a directory's child tree or a file's content; the decoder has made sure that it is there. */
export function entryRef(entry: TreeEntry): Reference {
  if (entry.ref === undefined) throw new Error(`tree entry ${entry.name.toString('latin1')} has no reference`)
  return entry.ref
}
