import { isEntryName } from '../core/mod.ts'
import { type ByteSource, type Extent, extentSource, joinExtents } from './byte-source.ts'
import { type ElToritoEntry, readBootCatalog } from './el-torito.ts'
import { formatError, shownName } from './format-error.ts'
import { type IsoRecord, recordsOf, SECTOR_BYTES } from './iso9660-records.ts'
import { readVolumeDescriptors, type VolumeDescriptor } from './iso9660-volume.ts'
import { parseRockRidge, type RockRidge, suspSkip } from './rock-ridge.ts'

/** One entry of a folder. Names are bytes; types are the letters of `asl.tree`. */
export interface IsoEntry {
  readonly name: Buffer
  readonly type: 'f' | 'd' | 'l' | 'c' | 'b' | 'p' | 's'
  /** Permission bits: 0..07777. Without Rock Ridge, what Linux shows: 0555 and 0444. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly linkCount: number
  readonly mtimeSeconds: number | undefined
  readonly sizeBytes: number
  /** Where the content lies in the image; empty for an empty file and for what has no content. */
  readonly extents: readonly Extent[]
  readonly target?: Buffer
  readonly rdev?: readonly [major: number, minor: number]
}

export interface IsoWalkEntry {
  /** From the root, without a leading slash. */
  readonly path: Buffer
  readonly entry: IsoEntry
}

/** An ISO 9660 image, read in place: nothing is mounted, nothing of the image's size is kept in memory. */
export interface Iso9660 {
  readonly source: ByteSource
  readonly volumeId: string
  /** End of the volume; appended partitions of a hybrid image lie behind it. */
  readonly volumeSizeBytes: number
  readonly createdSeconds: number | undefined
  /** Where names and attributes come from, best first. */
  readonly names: 'rock-ridge' | 'joliet' | 'plain'
  readonly root: IsoEntry
  list(folder: IsoEntry): IsoEntry[]
  /** The entry at a path below the root; links are not followed. `undefined` when there is none. */
  tryFind(path: string | Uint8Array): IsoEntry | undefined
  /** Every entry below `folder` (default: the root), folders before what they hold, in the order of the image. */
  walk(folder?: IsoEntry): Iterable<IsoWalkEntry>
  /** The content of a file as a source of its own. */
  open(file: IsoEntry): ByteSource
  /** The boot catalog; empty when the image is not bootable. */
  bootEntries(): ElToritoEntry[]
}

/** Deeper folders are an attack: Rock Ridge writers stay below the kernel's longest path. */
const MAX_DEPTH = 1024

/**
 * Opens an image for reading. The author of the image controls every byte of it.
 * @throws AslError FORMAT_INVALID, naming the structure and its offset; also from every method
 */
export function openIso9660(source: ByteSource): Iso9660 {
  const { primary, joliet, bootCatalogBlock } = readVolumeDescriptors(source)
  const skipBytes = skipOf(source, primary)
  const volume = skipBytes === undefined && joliet !== undefined ? joliet : primary
  const scheme: NameScheme =
    skipBytes !== undefined ? rockRidgeNames(source, primary, skipBytes) : volume === joliet ? JOLIET : PLAIN

  const list = (folder: IsoEntry): IsoEntry[] => {
    const extent = folder.extents[0]
    if (folder.type !== 'd' || extent === undefined) throw new Error(`${shownName(folder.name)} is not a folder`)
    return listFolder(source, volume, scheme, extent)
  }
  const root = {
    ...entryOf(volume.root, scheme.read(dotRecord(source, volume)), source, scheme),
    name: Buffer.alloc(0),
  }
  return {
    source,
    volumeId: primary.volumeId,
    volumeSizeBytes: primary.sizeBytes,
    createdSeconds: primary.createdSeconds,
    names: scheme.kind,
    root,
    list,
    tryFind(path) {
      let entry: IsoEntry | undefined = root
      for (const name of splitPath(path)) {
        if (entry.type !== 'd') return undefined
        entry = list(entry).find(candidate => candidate.name.equals(name))
        if (entry === undefined) return undefined
      }
      return entry
    },
    *walk(folder = root) {
      const seen = new Set<number>()
      const stack: { entries: IsoEntry[]; next: number; path: Buffer }[] = []
      const enter = (entry: IsoEntry, path: Buffer): void => {
        const offset = entry.extents[0]?.offset as number
        if (seen.has(offset)) {
          throw formatError(source, `folder ${shownName(path)} at ${offset}`, 'is reached twice: a loop of directories')
        }
        if (stack.length >= MAX_DEPTH) throw formatError(source, `folder ${shownName(path)}`, 'lies too deep')
        seen.add(offset)
        stack.push({ entries: list(entry), next: 0, path })
      }
      enter(folder, Buffer.alloc(0))
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        const entry = top.entries[top.next++]
        if (entry === undefined) {
          stack.pop()
          continue
        }
        const path = top.path.length === 0 ? entry.name : Buffer.concat([top.path, Buffer.from('/'), entry.name])
        yield { path, entry }
        if (entry.type === 'd') enter(entry, path)
      }
    },
    open: file => extentSource(source, file.extents, shownName(file.name)),
    bootEntries: () => (bootCatalogBlock === undefined ? [] : readBootCatalog(source, bootCatalogBlock * SECTOR_BYTES)),
  }
}

/** How a volume names its files: which bytes of a record are the name, and what else it says. */
interface NameScheme {
  readonly kind: Iso9660['names']
  read(record: IsoRecord): RockRidge
  /** The name when `read` gave none. */
  fallbackName(record: IsoRecord): Buffer
}

const NOTHING: RockRidge = { isRelocated: false, isCompressed: false }
const JOLIET: NameScheme = {
  kind: 'joliet',
  read: () => NOTHING,
  fallbackName: record => jolietName(record.identifier),
}
const PLAIN: NameScheme = { kind: 'plain', read: () => NOTHING, fallbackName: record => plainName(record) }

function rockRidgeNames(source: ByteSource, volume: VolumeDescriptor, skipBytes: number): NameScheme {
  return {
    kind: 'rock-ridge',
    fallbackName: plainName,
    read: record =>
      parseRockRidge(record.systemUse, {
        // the record that carries SP, the first of the root, has nothing to skip
        skipBytes: suspSkip(record.systemUse) === undefined ? skipBytes : 0,
        readContinuation(block, offset, sizeBytes) {
          if (offset + sizeBytes > SECTOR_BYTES) {
            throw formatError(source, `directory record at ${record.offset}`, 'a continuation area crosses its block')
          }
          return source.read(block * volume.blockBytes + offset, sizeBytes)
        },
        fail(reason) {
          throw formatError(source, `directory record at ${record.offset}`, reason)
        },
      }),
  }
}

function skipOf(source: ByteSource, volume: VolumeDescriptor): number | undefined {
  return suspSkip(dotRecord(source, volume).systemUse)
}

/** The first record of a folder describes the folder itself. */
function dotRecord(source: ByteSource, volume: VolumeDescriptor, block = volume.root.block): IsoRecord {
  const extent = { offset: block * volume.blockBytes, sizeBytes: SECTOR_BYTES }
  const [first] = recordsOf(source, volume.blockBytes, extent)
  const place = `folder at ${extent.offset}`
  if (first === undefined || first.identifier.length !== 1 || first.identifier[0] !== 0) {
    throw formatError(source, place, 'does not begin with a record for itself')
  }
  if (first.extent === undefined || first.block !== block) {
    throw formatError(source, place, 'its own record points elsewhere')
  }
  return first
}

function listFolder(source: ByteSource, volume: VolumeDescriptor, scheme: NameScheme, extent: Extent): IsoEntry[] {
  const entries: IsoEntry[] = []
  const names = new Set<string>()
  let pending: { record: IsoRecord; extents: Extent[]; sizeBytes: number } | undefined
  for (const record of recordsOf(source, volume.blockBytes, extent)) {
    if (record.identifier.length === 1 && (record.identifier[0] as number) <= 1) continue // . and ..
    if (record.isAssociated) continue
    const place = `directory record at ${record.offset}`
    if (pending !== undefined && !pending.record.identifier.equals(record.identifier)) {
      throw formatError(source, place, 'comes between the parts of a file of several extents')
    }
    pending ??= { record, extents: [], sizeBytes: 0 }
    if (record.extent !== undefined) pending.extents.push(record.extent)
    pending.sizeBytes += record.sizeBytes
    if (record.isContinued) continue
    const parts = pending
    pending = undefined
    const rock = scheme.read(record)
    if (rock.isRelocated) continue
    const whole = rock.childBlock === undefined ? parts : movedFolder(source, volume, rock.childBlock)
    const entry = entryOf({ ...record, ...whole.record, offset: record.offset }, rock, source, scheme, whole)
    if (!isEntryName(entry.name))
      throw formatError(source, place, `its name is ${JSON.stringify(entry.name.toString('latin1'))}`)
    const key = entry.name.toString('latin1')
    if (names.has(key)) throw formatError(source, place, `${shownName(entry.name)} is listed twice in one folder`)
    names.add(key)
    entries.push(entry)
  }
  if (pending !== undefined)
    throw formatError(source, `folder at ${extent.offset}`, 'ends inside a file of several extents')
  return entries
}

interface Whole {
  readonly record: IsoRecord
  readonly extents: readonly Extent[]
  readonly sizeBytes: number
}

function movedFolder(source: ByteSource, volume: VolumeDescriptor, block: number): Whole {
  const record = dotRecord(source, volume, block)
  return { record, extents: record.extent === undefined ? [] : [record.extent], sizeBytes: record.sizeBytes }
}

/** The type bits of st_mode (S_IFMT) as the letters of a tree. */
const TYPE_OF_MODE: ReadonlyMap<number, IsoEntry['type']> = new Map([
  [0o100000, 'f'],
  [0o040000, 'd'],
  [0o120000, 'l'],
  [0o020000, 'c'],
  [0o060000, 'b'],
  [0o010000, 'p'],
  [0o140000, 's'],
])

function entryOf(
  record: IsoRecord,
  rock: RockRidge,
  source: ByteSource,
  scheme: NameScheme,
  whole: Whole = { record, extents: record.extent === undefined ? [] : [record.extent], sizeBytes: record.sizeBytes },
): IsoEntry {
  const place = `directory record at ${record.offset}`
  const recorded = record.isDirectory ? 'd' : 'f'
  const type = rock.mode === undefined ? recorded : TYPE_OF_MODE.get(rock.mode & 0o170000)
  if (type === undefined) throw formatError(source, place, `file type ${(rock.mode ?? 0).toString(8)}`)
  // The two places that name the type must agree, or readers see different trees. A moved folder is recorded as a file.
  if ((type === 'd') !== record.isDirectory)
    throw formatError(source, place, 'is a folder by one field and not by another')
  if (type === 'd' && (whole.extents.length !== 1 || whole.sizeBytes % SECTOR_BYTES !== 0)) {
    throw formatError(source, place, `a folder of ${whole.sizeBytes} bytes in ${whole.extents.length} extents`)
  }
  if (rock.isCompressed) throw formatError(source, place, 'is stored in zisofs form, which is not supported')
  return {
    name: rock.name ?? scheme.fallbackName(record),
    type,
    mode: (rock.mode ?? (record.isDirectory ? 0o555 : 0o444)) & 0o7777,
    uid: rock.uid ?? 0,
    gid: rock.gid ?? 0,
    linkCount: rock.linkCount ?? 1,
    mtimeSeconds: rock.mtimeSeconds ?? record.mtimeSeconds,
    sizeBytes: type === 'f' || type === 'd' ? whole.sizeBytes : 0,
    extents: type === 'f' || type === 'd' ? joinExtents(whole.extents) : [],
    ...(type === 'l' ? { target: rock.target ?? Buffer.alloc(0) } : {}),
    ...(rock.rdev !== undefined && (type === 'c' || type === 'b') ? { rdev: rock.rdev } : {}),
  }
}

/** `README.TXT;1` is `readme.txt`, as Linux shows it. */
function plainName(record: IsoRecord): Buffer {
  const text = record.identifier.toString('latin1').replace(/;\d+$/, '').replace(/\.$/, '')
  return Buffer.from(text.toLowerCase(), 'latin1')
}

function jolietName(identifier: Buffer): Buffer {
  const text = new TextDecoder('utf-16be').decode(identifier)
  return Buffer.from(text.replace(/;\d+$/, ''))
}

function splitPath(path: string | Uint8Array): Buffer[] {
  const text = typeof path === 'string' ? Buffer.from(path).toString('latin1') : Buffer.from(path).toString('latin1')
  return text
    .split('/')
    .filter(part => part !== '')
    .map(part => Buffer.from(part, 'latin1'))
}
