import type { IndexedArtifact } from './artifact-index.ts'
import type { DiskStore } from './disk-store.ts'
import { readWholeFile } from './fs.ts'

/**
 * Which blocks a writer may rely on when content is put that the index knows: there, long enough, and not found damaged
 * by the last `check`. Anything else is written anew.
 */
export class TrustedBlocks {
  readonly #store: DiskStore
  readonly #damaged: ReadonlySet<string>
  /** Size of a block; -1 when it is not to be trusted. */
  readonly #sizes = new Map<string, number>()

  constructor(store: DiskStore, untrusted: ReadonlySet<string> = new Set()) {
    this.#store = store
    for (const blockId of untrusted) this.#sizes.set(blockId, -1)
    this.#damaged = readDamagedBlocks(store)
  }

  holds(artifact: IndexedArtifact): boolean {
    return artifact.extents().every(extent => extent.offset + extent.length <= this.#sizeOf(extent.blockId))
  }

  #sizeOf(blockId: string): number {
    let sizeBytes = this.#sizes.get(blockId)
    if (sizeBytes === undefined) {
      sizeBytes = this.#damaged.has(blockId) ? -1 : this.#currentSize(blockId)
      this.#sizes.set(blockId, sizeBytes)
    }
    return sizeBytes
  }

  /** Asks the file system and not the open files: one that was removed stays readable through its descriptor. */
  #currentSize(blockId: string): number {
    const { fs, blocks } = this.#store
    const path = blocks.path(blockId)
    const plain = fs.stat(path)
    if (plain !== undefined) return plain.sizeBytes
    if (fs.stat(`${path}.zst`) === undefined) return -1
    return blocks.tryOpen(blockId)?.sizeBytes ?? -1
  }
}

const LARGEST_LIST_BYTES = 64 << 20

/** What the last `check` found; losing the file loses only the reminder. */
export function readDamagedBlocks(store: DiskStore): ReadonlySet<string> {
  const path = store.paths.damagedBlocks
  if (store.fs.stat(path) === undefined) return new Set()
  const lines = readWholeFile(store.fs, path, LARGEST_LIST_BYTES).toString('latin1').split('\n')
  return new Set(lines.filter(line => /^[0-9a-f]{64}$/.test(line)))
}
