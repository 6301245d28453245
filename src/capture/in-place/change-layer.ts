import { lstatSync } from 'node:fs'
import type { OutputEntry, TreeEntry } from '../../core/mod.ts'
import { type DraftFolder, emptyDraft, openEntryIngest, type StoreReader, type StoreWriter } from '../../store/mod.ts'
import type { Changed, EndState } from './end-state.ts'
import type { Naming } from './naming.ts'
import type { OutputFile } from './output-entries.ts'
import { folderOf, nameOf, pathBytes, type RawPath } from './raw-path.ts'

/** The output of this name is a layer over `/`. */
export const LAYER_NAME = '/'

export interface LayerOptions {
  readonly store: StoreReader
  readonly files: ReadonlyMap<RawPath, OutputFile>
  readonly naming: Naming
  readonly umask: number
  /** Who ran the command: what it owns is written as owned by root. */
  readonly uid: number
  readonly gid: number
  /** SOURCE_DATE_EPOCH: later times are those of the run and left out. */
  readonly epoch: number
  readonly lost: ReadonlySet<string>
}

/**
 * What file entries cannot say — links, devices, empty folders, modes, owners, attributes, removals — as one tree from
 * `/` with everything that changed outside the roots, in the language of overlayfs: a character device 0:0 removes a
 * name, `trusted.overlay.opaque` hides what a folder held before. `undefined` when file entries say it all.
 */
export function putChangeLayer(writer: StoreWriter, end: EndState, options: LayerOptions): OutputEntry | undefined {
  const outside = (path: RawPath): boolean => options.naming.rootOf(path) === undefined
  const changed = [...end.changed].filter(
    ([path, { stat }]) => outside(path) && (!stat.isFile() || options.files.has(path)),
  )
  const removed = end.removed.filter(outside)
  const filled = new Set(changed.map(([path]) => folderOf(path)))
  if (removed.length === 0 && changed.every(([path, change]) => isPlain(change, filled.has(path), options)))
    return undefined

  const draft = emptyDraft(options.store)
  const ingest = openEntryIngest(writer, { mtime: 'clamp', epoch: options.epoch, owner: 'keep' })
  const firstNames = new Map<string, RawPath>()
  for (const [path, { stat, isNew }] of changed.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = pathBytes(path)
    const name = Buffer.from(nameOf(path), 'latin1')
    const plain = lstatSync(bytes)
    const common = { name, ...ownedByRoot(ingest.metadata(bytes, plain), options) }
    const folder = folderAt(draft, folderOf(path))
    if (stat.isDirectory()) {
      folder.make({ ...common, type: 'd' })
      folder.describe(isNew && options.lost.has(path) ? opaque({ ...common, type: 'd' }) : { ...common, type: 'd' })
    } else if (stat.isFile()) {
      const { ref, sizeBytes } = options.files.get(path) as OutputFile
      const inode = `${stat.dev}:${stat.ino}`
      const first = stat.nlink > 1n ? firstNames.get(inode) : undefined
      firstNames.set(inode, first ?? path)
      folder.set(
        first === undefined
          ? { ...common, type: 'f', ref, size: sizeBytes }
          : { ...common, type: 'f', linkTo: Buffer.from(first.slice(1), 'latin1') },
      )
    } else folder.set(ownedByRoot(ingest.entry(bytes, bytes.subarray(1), name, plain), options))
  }
  const gone = new Set(removed)
  for (const path of removed) {
    if (gone.has(folderOf(path))) continue // its folder is gone altogether
    folderAt(draft, folderOf(path)).set({ name: Buffer.from(nameOf(path), 'latin1'), type: 'c', mode: 0, rdev: [0, 0] })
  }
  return { name: LAYER_NAME, role: 'tree', ref: draft.put(writer) }
}

/** A file entry says it all, or it is a folder that a file entry implies. */
function isPlain(change: Changed, isFilled: boolean, { umask, uid, gid }: LayerOptions): boolean {
  const { stat } = change
  const mode = Number(stat.mode) & 0o7777
  const isOurs = Number(stat.uid) === uid && Number(stat.gid) === gid
  if (stat.isFile()) {
    const isPlainNew = mode === (0o666 & ~umask) && stat.nlink === 1n
    return isOurs && !change.hasNewAttributes && (!change.isNew || isPlainNew)
  }
  if (!stat.isDirectory()) return false
  if (!change.isNew) return !change.hasNewAttributes
  return isOurs && mode === (0o777 & ~umask) && isFilled
}

function ownedByRoot<T extends Pick<TreeEntry, 'uid' | 'gid'>>(entry: T, { uid, gid }: LayerOptions): T {
  const { uid: entryUid, gid: entryGid, ...rest } = entry
  return {
    ...rest,
    ...(entryUid === undefined || entryUid === uid ? {} : { uid: entryUid }),
    ...(entryGid === undefined || entryGid === gid ? {} : { gid: entryGid }),
  } as T
}

/** Folders on the way are there on every machine; their own attributes are not this run's. */
function folderAt(draft: DraftFolder, path: RawPath): DraftFolder {
  if (path === '/') return draft
  const parent = folderAt(draft, folderOf(path))
  return parent.make({ name: Buffer.from(nameOf(path), 'latin1'), type: 'd', mode: 0o755 })
}

function opaque<T extends Pick<TreeEntry, 'xattrs'>>(entry: T): T {
  const mark = [Buffer.from('trusted.overlay.opaque'), Buffer.from('y')] as const
  return { ...entry, xattrs: [...(entry.xattrs ?? []), mark] }
}
