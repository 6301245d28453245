import { createHash, type Hash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { sha256 } from '../core/mod.ts'
import type { StoreConfig } from './config.ts'
import type { StoreFs } from './fs.ts'
import { blockFolder, blockPath, type StorePaths } from './layout.ts'
import { BLOCK_ROLES } from './log-payloads.ts'

export interface PendingBlock {
  /** Empty while the block is being filled. */
  blockId: string
  readonly roles: number
  /** Where it lies until it is published. */
  openPath: string
  /** Open until the content is on the disk, unless one sync of the whole file system will do for all. */
  fd: number | undefined
}

/** Up to so many blocks are synced one by one; above, one `syncfs` costs less than the queue of fsyncs. */
const MOST_SINGLE_SYNCS = 64

const SMALLEST_BUFFER_BYTES = 64 * 1024

/** The blocks of one batch: packed ones filled in memory, larger content streamed to a file of its own. */
export class BlockWriter {
  readonly blocks: PendingBlock[] = []
  readonly #fs: StoreFs
  readonly #paths: StorePaths
  readonly #targetBytes: number
  /** Opened before anything is written, so that `syncfs` reports every error since. */
  readonly #root: number
  #usesSyncAll = false
  #packed: Buffer | undefined
  #usedBytes = 0
  #packedNumber = -1
  #scratch: Buffer | undefined

  constructor(fs: StoreFs, paths: StorePaths, config: StoreConfig) {
    this.#fs = fs
    this.#paths = paths
    this.#targetBytes = config.blockTargetBytes
    this.#root = fs.open(paths.root)
  }

  /** Space to put one artifact together in, `sizeBytes` ≤ block target: where it will lie if it is kept. */
  space(sizeBytes: number): Buffer {
    if (sizeBytes <= this.#targetBytes - this.#usedBytes) return this.#room(sizeBytes)
    if (this.#scratch === undefined || this.#scratch.length < sizeBytes) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(sizeBytes, 64 * 1024))
    }
    return this.#scratch
  }

  /** Keeps the artifact that `bytes`, the beginning of the last {@link space}, holds. */
  keep(bytes: Buffer): { readonly block: number; readonly offset: number } {
    if (bytes.length > this.#targetBytes - this.#usedBytes) this.#sealPacked()
    const offset = this.#usedBytes
    const room = this.#room(bytes.length)
    if (bytes.buffer !== room.buffer || bytes.byteOffset !== room.byteOffset) room.set(bytes)
    if (this.#packedNumber < 0) this.#packedNumber = this.#add(BLOCK_ROLES.packed)
    this.#usedBytes += bytes.length
    return { block: this.#packedNumber, offset }
  }

  /** A block for one artifact that is written as it comes. */
  startStream(role: number): BlockStream {
    const path = this.#newPath()
    const fd = this.#fs.create(path, 0o444)
    let hash: Hash | undefined = createHash('sha256')
    let position = 0
    return {
      write: bytes => {
        this.#fs.pwrite(fd, bytes, position)
        hash?.update(bytes)
        position += bytes.length
      },
      finish: blockId => {
        const number = this.#add(role)
        this.#written(number, blockId ?? (hash as Hash).digest('hex'), path, fd)
        return number
      },
      idIsGiven: () => {
        hash = undefined
      },
      abort: () => {
        this.#fs.close(fd)
        this.#fs.unlink(path)
      },
    }
  }

  /** Step 1 of the write order: every block is complete and its content on the disk. */
  sync(): void {
    this.#sealPacked()
    if (this.#usesSyncAll) this.#fs.syncAll(this.#root)
    for (const block of this.blocks) {
      if (block.fd === undefined) continue
      if (!this.#usesSyncAll) this.#fs.fsync(block.fd)
      this.#fs.close(block.fd)
      block.fd = undefined
    }
  }

  /** Step 2: the blocks have their names, and the names are on the disk. Names are taken over: what was there proves nothing. */
  publish(): void {
    const folders = new Set<string>()
    let hasNewFolder = false
    for (const block of this.blocks) {
      const folder = blockFolder(this.#paths, block.blockId)
      if (!folders.has(folder)) {
        folders.add(folder)
        if (this.#fs.stat(folder) === undefined) {
          this.#fs.mkdir(folder)
          hasNewFolder = true
        }
      }
      this.#fs.rename(block.openPath, blockPath(this.#paths, block.blockId))
      block.openPath = ''
    }
    if (folders.size > MOST_SINGLE_SYNCS) {
      this.#fs.syncAll(this.#root)
      return
    }
    for (const folder of folders) this.#fs.fsyncFolder(folder)
    if (hasNewFolder) this.#fs.fsyncFolder(this.#paths.sealedBlocks)
  }

  /** Removes what was not published and closes everything. Safe to call at any time, and twice. */
  close(): void {
    for (const block of this.blocks) {
      if (block.fd !== undefined) this.#fs.close(block.fd)
      block.fd = undefined
      if (block.openPath !== '') this.#fs.unlink(block.openPath)
      block.openPath = ''
    }
    if (!this.#isClosed) this.#fs.close(this.#root)
    this.#isClosed = true
    this.#packed = undefined
    this.#scratch = undefined
  }
  #isClosed = false

  /** What is left of the block's buffer, at least `sizeBytes`. It grows with use: most batches are small. */
  #room(sizeBytes: number): Buffer {
    const wanted = this.#usedBytes + sizeBytes
    if (this.#packed === undefined || this.#packed.length < wanted) {
      let capacity = Math.max(this.#packed?.length ?? 0, SMALLEST_BUFFER_BYTES)
      while (capacity < wanted) capacity *= 4
      const larger = Buffer.allocUnsafeSlow(Math.min(capacity, this.#targetBytes))
      if (this.#packed !== undefined) larger.set(this.#packed.subarray(0, this.#usedBytes))
      this.#packed = larger
    }
    return this.#packed.subarray(this.#usedBytes)
  }

  #sealPacked(): void {
    if (this.#packedNumber < 0 || this.#packed === undefined) return
    const bytes = this.#packed.subarray(0, this.#usedBytes)
    const path = this.#newPath()
    const fd = this.#fs.create(path, 0o444)
    try {
      this.#fs.pwrite(fd, bytes, 0)
      this.#fs.startWriteback(fd)
    } catch (error) {
      this.#fs.close(fd)
      throw error // the file in `open/` goes with the batch, or with the next writer
    }
    this.#written(this.#packedNumber, sha256(bytes), path, fd)
    this.#packedNumber = -1
    this.#usedBytes = 0
  }

  #add(roles: number): number {
    return this.blocks.push({ blockId: '', roles, openPath: '', fd: undefined }) - 1
  }

  #written(number: number, blockId: string, path: string, fd: number): void {
    const block = this.blocks[number] as PendingBlock
    block.blockId = blockId
    block.openPath = path
    block.fd = fd
    if (this.blocks.length > MOST_SINGLE_SYNCS) this.#usesSyncAll = true
    else this.#open.push(block)
    if (!this.#usesSyncAll) return
    for (const earlier of this.#open) {
      if (earlier.fd !== undefined) this.#fs.close(earlier.fd)
      earlier.fd = undefined
    }
    this.#open.length = 0
    this.#open.push(block)
  }
  readonly #open: PendingBlock[] = []

  #newPath(): string {
    return join(this.#paths.openBlocks, `blk_${randomUUID()}.tmp`)
  }
}

export interface BlockStream {
  write(bytes: Uint8Array): void
  /** The caller will know the block id: nothing is hashed for it. */
  idIsGiven(): void
  /** Returns the number of the block. */
  finish(blockId?: string): number
  abort(): void
}
