import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import {
  AslError,
  compareBytes,
  type Reference,
  TREE,
  type TreeEntry,
  type TreeEntryType,
  type TreeTop,
} from '../../core/mod.ts'
import { ioError, listXattrs, splitDevice, tryGetXattr } from '../../sys/mod.ts'
import type { StoreWriter } from '../interface.ts'
import { joinPath, showPath } from './path.ts'

export interface IngestOptions {
  /**
   * `keep` records each mtime in whole seconds; `clamp` only those before `epoch`, since an absent one means the epoch;
   * `drop` none. Default `keep`.
   */
  readonly mtime?: 'keep' | 'clamp' | 'drop'
  /** SOURCE_DATE_EPOCH, whole seconds. */
  readonly epoch?: number
  /** `drop` records every entry as owned by root. Default `keep`. */
  readonly owner?: 'keep' | 'drop'
  /** Which extended attributes are recorded. Default {@link isPortableXattr}. */
  readonly keepXattr?: (name: Buffer) => boolean
  /** Path from the top, as bytes; what it says true to is left out, with everything below. */
  readonly leaveOut?: (path: Buffer) => boolean
  /** Called after each entry. */
  readonly onEntry?: (path: Buffer, sizeBytes: number) => void
  readonly signal?: AbortSignal
}

export interface Ingested {
  readonly reference: Reference
  readonly entryCount: number
  /** Content of all regular files, hard links once. */
  readonly sizeBytes: number
}

/**
 * Puts a folder and everything below it into the batch: one `asl.tree` for each directory (reference §8.4). Memory grows
 * with the widest directories on one path, not with the number of entries.
 * @throws AslError CAPTURE_FAILED when something changes while it is read, STORE_IO when something cannot be read
 */
export function ingestTree(writer: StoreWriter, folder: string | Uint8Array, options: IngestOptions = {}): Ingested {
  const root = Buffer.from(folder as Uint8Array)
  const pass: Pass = { writer, options, firstNames: new Map(), entryCount: 0, sizeBytes: 0 }
  const stat = readable(root, () => lstatSync(root))
  if (!stat.isDirectory()) throw new AslError('REQUEST_INVALID', `${showPath(root)} is not a folder`)
  const { mode, uid, gid, mtime, xattrs } = metadata(pass, root, stat)
  const top: TreeTop = { mode, ...given({ uid, gid, mtime, xattrs }) }
  const reference = ingestFolder(pass, root, EMPTY, top)
  return { reference, entryCount: pass.entryCount, sizeBytes: pass.sizeBytes }
}

/** For callers that walk a folder themselves: entries as {@link ingestTree} makes them, hard links found across calls. */
export interface EntryIngest {
  /** @param path from the top of the tree; names are to be offered in path order (see {@link inPathOrder}) */
  entry(hostPath: Buffer, path: Buffer, name: Buffer, stat: Stats): TreeEntry
  /** Mode, owner, time and attributes alone. */
  metadata(hostPath: Buffer, stat: Stats): Pick<TreeEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>
}

export function openEntryIngest(writer: StoreWriter, options: IngestOptions = {}): EntryIngest {
  const pass: Pass = { writer, options, firstNames: new Map(), entryCount: 0, sizeBytes: 0 }
  return {
    entry: (hostPath, path, name, stat) => entryOf(pass, hostPath, path, name, stat),
    metadata: (hostPath, stat) => metadata(pass, hostPath, stat),
  }
}

/** Attributes that say something about the file and not about the machine it lies on or the mount it is seen through. */
export function isPortableXattr(name: Buffer): boolean {
  const text = name.toString('latin1')
  return !MACHINE_XATTRS.some(prefix => text.startsWith(prefix))
}

const MACHINE_XATTRS = [
  'security.selinux',
  'security.ima',
  'security.evm',
  'trusted.overlay.',
  'user.overlay.',
  'system.nfs4_acl',
]
const EMPTY = Buffer.alloc(0)

interface Pass {
  readonly writer: StoreWriter
  readonly options: IngestOptions
  /** Device and inode of files with several names → the name that is first in byte order. */
  readonly firstNames: Map<string, Buffer>
  entryCount: number
  sizeBytes: number
}

function ingestFolder(pass: Pass, folder: Buffer, path: Buffer, top?: TreeTop): Reference {
  const names = readable(folder, () => readdirSync(folder, { encoding: 'buffer' }))
  const rows = names.map(name => {
    const hostPath = joinPath(folder, name)
    return { name, hostPath, stat: readable(hostPath, () => lstatSync(hostPath)) }
  })
  const entries: TreeEntry[] = []
  for (const { name, hostPath, stat } of inPathOrder(
    rows,
    row => row.name,
    row => row.stat.isDirectory(),
  )) {
    const entryPath = joinPath(path, name)
    if (pass.options.leaveOut?.(entryPath) === true) continue
    pass.options.signal?.throwIfAborted()
    const entry = entryOf(pass, hostPath, entryPath, name, stat)
    entries.push(entry)
    pass.entryCount++
    pass.options.onEntry?.(entryPath, entry.size ?? 0)
  }
  return pass.writer.put(TREE.encode(top === undefined ? { entries } : { entries, top }), TREE.typeTag)
}

/**
 * The order in which full paths ascend: what lies in `a/` comes after `a-b`, since `-` sorts before `/`. So a directory
 * is taken as if its name ended in `/`, and the first of several names of a file is met first.
 */
export function inPathOrder<T>(rows: readonly T[], nameOf: (row: T) => Uint8Array, isFolder: (row: T) => boolean): T[] {
  const key = (row: T): Uint8Array => (isFolder(row) ? Buffer.concat([nameOf(row), SLASH]) : nameOf(row))
  return rows
    .map(row => ({ row, key: key(row) }))
    .sort((a, b) => compareBytes(a.key, b.key))
    .map(({ row }) => row)
}

const SLASH = Buffer.from('/')

function entryOf(pass: Pass, hostPath: Buffer, path: Buffer, name: Buffer, stat: Stats): TreeEntry {
  const common = { name, ...metadata(pass, hostPath, stat) }
  const type = typeOf(stat, hostPath)
  switch (type) {
    case 'd':
      return { ...common, type, ref: ingestFolder(pass, hostPath, path) }
    case 'l':
      return {
        ...common,
        type,
        mode: 0o777,
        target: readable(hostPath, () => readlinkSync(hostPath, { encoding: 'buffer' })),
      }
    case 'c':
    case 'b':
      return { ...common, type, rdev: [...splitDevice(stat.rdev)] }
    case 'f': {
      const first = stat.nlink > 1 ? firstName(pass, hostPath, path) : undefined
      return first === undefined
        ? { ...common, type, ...putContent(pass, hostPath) }
        : { ...common, type, linkTo: first }
    }
    default:
      return { ...common, type }
  }
}

/** `undefined` for the first name of a file, which carries the content. */
function firstName(pass: Pass, hostPath: Buffer, path: Buffer): Buffer | undefined {
  // Inode numbers of overlay and btrfs use all 64 bits.
  const { dev, ino } = readable(hostPath, () => lstatSync(hostPath, { bigint: true }))
  const identity = `${dev}:${ino}`
  const first = pass.firstNames.get(identity)
  if (first === undefined) pass.firstNames.set(identity, path)
  return first
}

function putContent(pass: Pass, hostPath: Buffer): { ref: Reference; size: number } {
  const fd = readable(hostPath, () =>
    openSync(hostPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
  )
  try {
    const { reference, sizeBytes } = pass.writer.putOpenFile(fd, showPath(hostPath))
    pass.sizeBytes += sizeBytes
    return { ref: reference, size: sizeBytes }
  } finally {
    closeSync(fd)
  }
}

type Metadata = Pick<TreeEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>

function metadata(pass: Pass, hostPath: Buffer, stat: Stats): Metadata {
  const { owner = 'keep' } = pass.options
  return {
    mode: stat.mode & 0o7777,
    ...given({
      uid: owner === 'keep' && stat.uid !== 0 ? stat.uid : undefined,
      gid: owner === 'keep' && stat.gid !== 0 ? stat.gid : undefined,
      mtime: mtimeOf(pass.options, stat),
      xattrs: xattrsOf(pass.options, hostPath),
    }),
  }
}

/** Whole seconds; what lies before 1970 counts as 1970. */
function mtimeOf({ mtime = 'keep', epoch = 0 }: IngestOptions, stat: Stats): number | undefined {
  const seconds = Math.max(0, Math.floor(stat.mtimeMs / 1000))
  if (mtime === 'drop' || (mtime === 'clamp' && seconds >= epoch)) return undefined
  return seconds
}

function xattrsOf({ keepXattr = isPortableXattr }: IngestOptions, hostPath: Buffer): TreeEntry['xattrs'] {
  const names = readable(hostPath, () => listXattrs(hostPath)).filter(keepXattr)
  if (names.length === 0) return undefined
  const pairs = names.map(name => [name, readable(hostPath, () => tryGetXattr(hostPath, name))] as const)
  const present = pairs.filter((pair): pair is [Buffer, Buffer] => pair[1] !== undefined)
  return present.sort((a, b) => compareBytes(a[0], b[0]))
}

function typeOf(stat: Stats, hostPath: Buffer): TreeEntryType {
  if (stat.isFile()) return 'f'
  if (stat.isDirectory()) return 'd'
  if (stat.isSymbolicLink()) return 'l'
  if (stat.isCharacterDevice()) return 'c'
  if (stat.isBlockDevice()) return 'b'
  if (stat.isFIFO()) return 'p'
  if (stat.isSocket()) return 's'
  throw new AslError('STORE_UNSUPPORTED', `${showPath(hostPath)} is of a kind no tree can hold`)
}

/** Leaves out what is undefined: an optional member is absent, not empty. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

function readable<T>(path: Buffer, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw ioError(error, `Cannot read ${showPath(path)}`)
  }
}
