import { AslError } from '../core/mod.ts'
import type { ByteSource } from './byte-source.ts'
import { shownName } from './format-error.ts'
import type { Iso9660, IsoEntry } from './iso9660.ts'

/** A folder inside an image, with the few calls a reader of files needs: nothing is mounted or copied. */
export interface ImageFolder {
  /** For messages: `image.iso:/var/lib/asl`. */
  readonly location: string
  /** Names in byte order. */
  readDir(path: string): string[]
  /** @throws AslError LIMIT_EXCEEDED above `maxBytes` */
  readFile(path: string, maxBytes?: number): Buffer
  openRead(path: string): ImageFile
  /** `undefined` when there is nothing at `path`. */
  tryStat(path: string): ImageFileStat | undefined
}

export interface ImageFile {
  readonly sizeBytes: number
  /** Fills `into` from `offset`, less at the end of the file. Returns how many bytes were read. */
  pread(into: Uint8Array, offset: number): number
  close(): void
}

export interface ImageFileStat {
  readonly kind: 'file' | 'folder' | 'other'
  readonly sizeBytes: number
  readonly mode: number
}

const DEFAULT_MAX_BYTES = 1 << 30

/**
 * The folder at `path` of an ISO. Folders are listed once and remembered: a store looks up thousands of files.
 * @throws AslError PATH_NOT_FOUND when there is no such folder; FORMAT_INVALID
 */
export function openIsoFolder(iso: Iso9660, path: string): ImageFolder {
  const location = `${iso.source.name}:/${path.replace(/^\/+|\/+$/g, '')}`
  const listed = new Map<number, Map<string, IsoEntry>>()
  const entriesOf = (folder: IsoEntry): Map<string, IsoEntry> => {
    const key = folder.extents[0]?.offset ?? -1
    let entries = listed.get(key)
    if (entries === undefined) {
      entries = new Map(iso.list(folder).map(entry => [entry.name.toString('latin1'), entry]))
      listed.set(key, entries)
    }
    return entries
  }
  const resolve = (from: IsoEntry, below: string): IsoEntry | undefined => {
    let entry: IsoEntry | undefined = from
    for (const part of below.split('/')) {
      if (part === '' || part === '.') continue
      entry = entry?.type === 'd' ? entriesOf(entry).get(Buffer.from(part).toString('latin1')) : undefined
    }
    return entry
  }
  const missing = (below: string): AslError =>
    new AslError('PATH_NOT_FOUND', `There is no ${location}/${shownName(below)}`)

  const top = resolve(iso.root, path)
  if (top?.type !== 'd') throw new AslError('PATH_NOT_FOUND', `There is no folder ${location}`)
  const openFile = (below: string): ByteSource => {
    const entry = resolve(top, below)
    if (entry === undefined) throw missing(below)
    if (entry.type !== 'f')
      throw new AslError('FORMAT_INVALID', `${location}/${shownName(below)} is not a regular file`)
    return iso.open(entry)
  }
  return {
    location,
    readDir(below) {
      const entry = resolve(top, below)
      if (entry?.type !== 'd') throw missing(below)
      return [...entriesOf(entry).values()].map(child => child.name.toString('utf8')).sort()
    },
    readFile(below, maxBytes = DEFAULT_MAX_BYTES) {
      const file = openFile(below)
      if (file.sizeBytes > maxBytes) {
        throw new AslError('LIMIT_EXCEEDED', `${file.name} has ${file.sizeBytes} bytes, the limit is ${maxBytes}`)
      }
      return file.read(0, file.sizeBytes)
    },
    openRead(below) {
      const file = openFile(below)
      return {
        sizeBytes: file.sizeBytes,
        pread(into, offset) {
          const wanted = Math.max(0, Math.min(into.length, file.sizeBytes - offset))
          into.set(file.read(offset, wanted))
          return wanted
        },
        close: () => {},
      }
    },
    tryStat(below) {
      const entry = resolve(top, below)
      if (entry === undefined) return undefined
      const kind = entry.type === 'f' ? 'file' : entry.type === 'd' ? 'folder' : 'other'
      return { kind, sizeBytes: entry.sizeBytes, mode: entry.mode }
    },
  }
}
