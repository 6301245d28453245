import { readdirSync } from 'node:fs'
import { type Reference, type TreeEntry } from '../../core/mod.ts'
import { type DraftFolder, entryOfPath, openDraft, type StoreReader, type StoreWriter } from '../../store/mod.ts'
import { joinBytes, listXattrs, lstatBytes, tryGetXattr } from '../../sys/mod.ts'
import { WORK_PATH } from './step.ts'

export interface MergeOptions {
  /** Times after it are clamped to it: seconds since 1970. */
  readonly epoch: number
  /** The tree was the root of the sandbox: the mount points that the sandbox made in it are no result. */
  readonly isRoot: boolean
}

/**
 * The tree after a step: the tree before it, changed by what lies in the upper layer of the overlay (whiteouts, opaque
 * folders, and everything else as it stands). Reads what has changed and nothing else.
 * Kernel source: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
 */
export function mergeUpper(
  store: StoreReader,
  writer: StoreWriter,
  before: Reference,
  upper: string,
  options: MergeOptions,
): Reference {
  const draft = openDraft(store, before)
  const skipped = new Set<string>()
  if (options.isRoot) {
    // These stand under mounts while the command runs; made by the sandbox, they are left out where the tree had none.
    for (const mountPoint of [WORK_PATH, '/proc', '/dev', '/tmp']) {
      const name = mountPoint.slice(1)
      if (draft.get(Buffer.from(name)) === undefined) skipped.add(name)
    }
  }
  mergeFolder(draft, Buffer.from(upper), writer, options.epoch, skipped)
  return draft.put(writer)
}

function mergeFolder(
  draft: DraftFolder,
  upper: Buffer,
  writer: StoreWriter,
  epoch: number,
  skipped: ReadonlySet<string> = new Set(),
): void {
  for (const name of readdirSync(upper, { encoding: 'buffer' })) {
    if (skipped.has(name.toString('latin1'))) continue
    const path = joinBytes(upper, name)
    const stat = lstatBytes(path)
    if (stat.isCharacterDevice() && stat.rdev === 0n) {
      draft.remove(name)
    } else if (stat.isDirectory()) {
      const { ref: _ref, ...entry } = entryOfPath(writer, path, name, stat, { epoch, ignoreXattr: isOverlayXattr }) as TreeEntry
      if (isOpaque(path) || draft.get(name)?.type !== 'd') draft.remove(name)
      const folder = draft.make({ ...entry, type: 'd' })
      mergeFolder(folder, path, writer, epoch)
      draft.describe({ ...entry, type: 'd' })
    } else {
      draft.set(entryOfPath(writer, path, name, stat, { epoch, ignoreXattr: isOverlayXattr }))
    }
  }
}

const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'].map(name => Buffer.from(name))

function isOpaque(path: Buffer): boolean {
  return OPAQUE.some(name => tryGetXattr(path, name)?.toString('latin1') === 'y')
}

/** The overlay's own marks are no part of a tree. */
export function isOverlayXattr(name: Buffer): boolean {
  const text = name.toString('latin1')
  return text.startsWith('trusted.overlay.') || text.startsWith('user.overlay.')
}
