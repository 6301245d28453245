import { lstatSync, readdirSync } from 'node:fs'
import type { Reference } from '../../core/mod.ts'
import {
  type DraftFolder,
  type EntryIngest,
  inPathOrder,
  joinPath,
  openDraft,
  openEntryIngest,
  type StoreReader,
  type StoreWriter,
} from '../../store/mod.ts'
import { tryGetXattr } from '../../sys/mod.ts'
import { WORK_PATH } from './step.ts'

export interface MergeOptions {
  /** Times from it on are left to it: seconds since 1970. */
  readonly epoch: number
  /** The tree was the root of the sandbox: the mount points that the sandbox made in it are no result. */
  readonly isRoot: boolean
}

/** Stand under mounts while a command runs; where the tree had none, the sandbox made them. */
const MOUNT_POINTS = [WORK_PATH, '/proc', '/dev', '/tmp']

/**
 * The tree after a step: the tree before it, changed by what lies in the upper layer of the overlay: whiteouts, opaque
 * folders, and everything else as it stands. Reads what has changed and nothing else.
 * Source: Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
 */
export function mergeUpper(
  store: StoreReader,
  writer: StoreWriter,
  before: Reference,
  upper: string,
  options: MergeOptions,
): Reference {
  const draft = openDraft(store, before)
  const ingest = openEntryIngest(writer, { mtime: 'clamp', epoch: options.epoch })
  const made = options.isRoot ? MOUNT_POINTS.map(path => path.slice(1)).filter(name => !has(draft, name)) : []
  mergeFolder(draft, Buffer.from(upper), EMPTY, ingest, new Set(made))
  return draft.put(writer)
}

const EMPTY = Buffer.alloc(0)

function mergeFolder(
  draft: DraftFolder,
  upper: Buffer,
  path: Buffer,
  ingest: EntryIngest,
  leftOut: ReadonlySet<string>,
): void {
  const rows = readdirSync(upper, { encoding: 'buffer' }).map(name => {
    const hostPath = joinPath(upper, name)
    return { name, hostPath, stat: lstatSync(hostPath) }
  })
  const isFolder = (row: (typeof rows)[number]): boolean => row.stat.isDirectory()
  for (const { name, hostPath, stat } of inPathOrder(rows, row => row.name, isFolder)) {
    if (leftOut.has(name.toString('latin1'))) continue
    const entryPath = joinPath(path, name)
    if (stat.isCharacterDevice() && stat.rdev === 0) {
      draft.remove(name)
    } else if (stat.isDirectory()) {
      const entry = { name, type: 'd' as const, ...ingest.metadata(hostPath, stat) }
      if (isOpaque(hostPath) || draft.get(name)?.type !== 'd') draft.remove(name)
      mergeFolder(draft.make(entry), hostPath, entryPath, ingest, NOTHING)
      draft.describe(entry)
    } else {
      draft.set(ingest.entry(hostPath, entryPath, name, stat))
    }
  }
}

const NOTHING: ReadonlySet<string> = new Set()

function has(draft: DraftFolder, name: string): boolean {
  return draft.get(Buffer.from(name)) !== undefined
}

const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'].map(name => Buffer.from(name))

function isOpaque(path: Buffer): boolean {
  return OPAQUE.some(name => tryGetXattr(path, name)?.toString('latin1') === 'y')
}
