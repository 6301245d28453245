import { type ByteSource, type Extent, extentSource } from './byte-source.ts'
import { type FatChains, openFatChains } from './fat-chain.ts'
import { type FatLayout, readFatLayout } from './fat-layout.ts'
import { longNameCollector, shortNameText } from './fat-names.ts'
import { formatError, shownName } from './format-error.ts'

export interface FatEntry {
  readonly name: string
  /** `NAME.EXT`, as firmware without long names sees it. */
  readonly shortName: string
  readonly isFolder: boolean
  readonly sizeBytes: number
  /** Read-only 1, hidden 2, system 4, archive 32. */
  readonly attributes: number
  /** Seconds since 1970, the stored local time taken as UTC; even numbers only. */
  readonly mtimeSeconds: number
  /** Where the content lies in the volume, to the end of the file. */
  readonly extents: readonly Extent[]
}

export interface FatWalkEntry {
  /** Below the root, without a leading slash. */
  readonly path: string
  readonly entry: FatEntry
}

/** A FAT12, FAT16 or FAT32 file system, read in place. */
export interface Fat
  extends Pick<FatLayout, 'type' | 'sectorBytes' | 'clusterBytes' | 'clusters' | 'serial' | 'label'> {
  readonly source: ByteSource
  /** The entries of a folder; of the root without an argument. */
  list(folder?: FatEntry): FatEntry[]
  /** Upper and lower case are the same to FAT. */
  tryFind(path: string): FatEntry | undefined
  /** Every entry, folders before what they hold, in the order of the volume. */
  walk(): Iterable<FatWalkEntry>
  open(file: FatEntry): ByteSource
}

const RECORD_BYTES = 32
const ATTRIBUTES = { volumeLabel: 0x08, folder: 0x10, longName: 0x0f } as const
const DELETED = 0xe5
/** FAT32 File System Specification: a folder has at most 65,536 records. */
const MAX_FOLDER_BYTES = 65_536 * RECORD_BYTES
const MAX_DEPTH = 128

/**
 * Opens a volume for reading. Its author controls every byte of it.
 * @throws AslError FORMAT_INVALID, naming the structure; also from every method
 */
export function openFat(source: ByteSource): Fat {
  const layout = readFatLayout(source)
  const chains = openFatChains(source, layout)
  const list = (folder?: FatEntry): FatEntry[] => {
    if (folder !== undefined && !folder.isFolder) throw new Error(`${folder.name} is not a folder`)
    const records = folder === undefined ? rootOf(source, layout, chains) : contentOf(source, folder)
    return entriesOf(source, layout, chains, records, folder === undefined ? 'the root' : shownName(folder.name))
  }
  const { type, sectorBytes, clusterBytes, clusters, serial, label } = layout
  return {
    ...{ source, type, sectorBytes, clusterBytes, clusters, serial, label, list },
    tryFind(path) {
      let found: FatEntry | undefined
      for (const name of path.split('/').filter(part => part !== '')) {
        if (found !== undefined && !found.isFolder) return undefined
        found = list(found).find(entry => [entry.name, entry.shortName].some(own => isSameName(own, name)))
        if (found === undefined) return undefined
      }
      return found
    },
    *walk() {
      const seen = new Set<number>()
      const stack: { entries: FatEntry[]; next: number; path: string }[] = [{ entries: list(), next: 0, path: '' }]
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        const entry = top.entries[top.next++]
        if (entry === undefined) {
          stack.pop()
          continue
        }
        const path = `${top.path}${entry.name}`
        yield { path, entry }
        if (!entry.isFolder) continue
        const start = entry.extents[0]?.offset ?? 0
        if (seen.has(start)) throw formatError(source, `folder ${shownName(path)}`, 'is reached twice: a loop')
        if (stack.length >= MAX_DEPTH) throw formatError(source, `folder ${shownName(path)}`, 'lies too deep')
        seen.add(start)
        stack.push({ entries: list(entry), next: 0, path: `${path}/` })
      }
    },
    open: file => extentSource(source, file.extents, shownName(file.name)),
  }
}

function rootOf(source: ByteSource, layout: FatLayout, chains: FatChains): Buffer {
  if (layout.type !== 'fat32') return source.read(layout.rootOffset, layout.rootBytes)
  return recordsOf(source, chains.extents(layout.rootCluster, 'the root folder'), 'the root')
}

function contentOf(source: ByteSource, folder: FatEntry): Buffer {
  return recordsOf(source, folder.extents, shownName(folder.name))
}

function recordsOf(source: ByteSource, extents: readonly Extent[], name: string): Buffer {
  const content = extentSource(source, extents, name)
  if (content.sizeBytes > MAX_FOLDER_BYTES) {
    throw formatError(source, `folder ${name}`, `has ${content.sizeBytes} bytes, the limit is ${MAX_FOLDER_BYTES}`)
  }
  return content.read(0, content.sizeBytes)
}

function entriesOf(
  source: ByteSource,
  layout: FatLayout,
  chains: FatChains,
  records: Buffer,
  folderName: string,
): FatEntry[] {
  const entries: FatEntry[] = []
  const names = new Set<string>()
  const longNames = longNameCollector()
  for (let at = 0; at + RECORD_BYTES <= records.length; at += RECORD_BYTES) {
    const record = records.subarray(at, at + RECORD_BYTES)
    if (record[0] === 0) break
    if (record[0] === DELETED) continue
    const attributes = record[11] as number
    if ((attributes & 0x3f) === ATTRIBUTES.longName) {
      longNames.add(record)
      continue
    }
    const longName = longNames.take(record)
    if ((attributes & ATTRIBUTES.volumeLabel) !== 0) continue
    const shortName = shortNameText(record)
    if (shortName === '.' || shortName === '..') continue
    const entry = entryOf(source, layout, chains, record, longName ?? shortName)
    const place = `record ${at / RECORD_BYTES} of ${folderName}`
    if (!isName(entry.name)) throw formatError(source, place, `its name is ${JSON.stringify(entry.name)}`)
    const key = entry.name.toLowerCase()
    if (names.has(key)) throw formatError(source, place, `${shownName(entry.name)} is listed twice in one folder`)
    names.add(key)
    entries.push(entry)
  }
  return entries
}

function entryOf(source: ByteSource, layout: FatLayout, chains: FatChains, record: Buffer, name: string): FatEntry {
  const attributes = record[11] as number
  const isFolder = (attributes & ATTRIBUTES.folder) !== 0
  const high = layout.type === 'fat32' ? record.readUInt16LE(20) : 0
  const first = high * 0x10000 + record.readUInt16LE(26)
  const sizeBytes = isFolder ? 0 : record.readUInt32LE(28)
  return {
    name,
    shortName: shortNameText(record),
    isFolder,
    sizeBytes,
    attributes,
    mtimeSeconds: timeOf(record.readUInt16LE(24), record.readUInt16LE(22)),
    extents: isFolder
      ? chains.extents(first, `folder ${shownName(name)}`)
      : fileExtents(source, layout, chains, first, sizeBytes, name),
  }
}

function fileExtents(
  source: ByteSource,
  layout: FatLayout,
  chains: FatChains,
  first: number,
  sizeBytes: number,
  name: string,
): Extent[] {
  const clusters = Math.ceil(sizeBytes / layout.clusterBytes)
  if (clusters > layout.clusters) {
    throw formatError(source, `file ${shownName(name)}`, `claims ${sizeBytes} bytes, more than the volume has`)
  }
  const extents = chains.extents(first, `file ${shownName(name)}`, clusters)
  const slackBytes = clusters * layout.clusterBytes - sizeBytes
  return extents.map((extent, i) =>
    i === extents.length - 1 ? { offset: extent.offset, sizeBytes: extent.sizeBytes - slackBytes } : extent,
  )
}

function timeOf(date: number, time: number): number {
  const day = Date.UTC(1980 + (date >> 9), ((date >> 5) & 15) - 1, date & 31) / 1000
  return day + (time >> 11) * 3600 + ((time >> 5) & 63) * 60 + (time & 31) * 2
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name)
}

function isSameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
