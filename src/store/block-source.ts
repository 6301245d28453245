import { AslError } from '../core/mod.ts'
import type { CachedFile, FileCache } from './file-cache.ts'
import { blockPath, type StorePaths } from './layout.ts'
import { openSeekableZstd } from './seekable-zstd.ts'

/** The uncompressed bytes of sealed blocks, whichever form they lie in: `.blk`, or `.blk.zst` in the seekable format. */
export class BlockSource {
  readonly #files: FileCache
  readonly #paths: StorePaths
  readonly #unpacked = new Map<string, CachedFile>()

  constructor(files: FileCache, paths: StorePaths) {
    this.#files = files
    this.#paths = paths
  }

  /** @throws AslError STORE_BLOCK_MISSING */
  open(blockId: string): CachedFile {
    const found = this.tryOpen(blockId)
    if (found !== undefined) return found
    throw new AslError('STORE_BLOCK_MISSING', `Block ${blockId} is missing: there is no ${this.path(blockId)}`, {
      hint: "'asl check' lists what it held; putting that content again heals the store.",
      details: { block: blockId },
    })
  }

  tryOpen(blockId: string): CachedFile | undefined {
    const path = this.path(blockId)
    const plain = this.#files.tryOpen(path)
    if (plain !== undefined) return plain
    const known = this.#unpacked.get(blockId)
    if (known !== undefined) return known
    const packed = this.#files.tryOpen(`${path}.zst`)
    if (packed === undefined) return undefined
    const unpacked = openSeekableZstd(packed, `${path}.zst`)
    if (this.#unpacked.size >= MOST_SEEK_TABLES) this.#unpacked.clear()
    this.#unpacked.set(blockId, unpacked)
    return unpacked
  }

  path(blockId: string): string {
    return blockPath(this.#paths, blockId)
  }

  /** A block has been written anew or removed: what is open is the old file. */
  forget(blockId: string): void {
    const path = this.path(blockId)
    this.#files.forget(path)
    this.#files.forget(`${path}.zst`)
    this.#unpacked.delete(blockId)
  }
}

const MOST_SEEK_TABLES = 64
