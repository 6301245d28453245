import { AslError, isAslError, type Reference, type TypeTag } from '../core/mod.ts'
import { ioError } from '../sys/mod.ts'
import { readAbsentList } from './absent-list.ts'
import { ArtifactIndex, hasTag, type IndexedArtifact } from './artifact-index.ts'
import { ArtifactReader, contentSize } from './artifact-reader.ts'
import { Batch } from './batch.ts'
import { BlockSource } from './block-source.ts'
import { decodeStoreConfig, type StoreConfig } from './config.ts'
import { FileCache } from './file-cache.ts'
import { type ReadFs, readWholeFile, type StoreFs } from './fs.ts'
import type { ArtifactStat, Store, StoreState, StoreWriter } from './interface.ts'
import { type StorePaths, segmentPath, shardOf, storePaths } from './layout.ts'
import { type LogEnd, readLog } from './log-reader.ts'
import { applyLogRecord, emptyLogState, type LogState, newestSnapshot } from './log-state.ts'
import { SegmentFile } from './segment-file.ts'
import { WriteAccess } from './write-access.ts'

export interface OpenOptions {
  /** How long a writer waits for another one to end. Default 10 s. */
  readonly lockWaitMs?: number
  /** Read the state after this log record, not the newest. */
  readonly logPrefix?: number
}

const LARGEST_CONFIG_BYTES = 64 * 1024
const DEFAULT_READ_LIMIT_BYTES = 1024 ** 3
/** Up to here a range is cut from the whole content, which is verified at each read. */
const SMALL_READ_BYTES = 4 << 20

/** A store on a disk or in an image. Members that are not of {@link Store} are for the files of this room. */
export class DiskStore implements Store {
  readonly location: string
  readonly paths: StorePaths
  readonly config: StoreConfig
  readonly fs: ReadFs
  readonly files: FileCache
  readonly blocks: BlockSource
  readonly writing: WriteAccess | undefined
  log: LogState = emptyLogState()
  index: ArtifactIndex
  logEnd: LogEnd | undefined
  /** What makes the store read-only: a broken chain, a lost segment. What cannot be found may lie behind it. */
  readonly damage: AslError[] = []
  readonly #reader: ArtifactReader
  readonly #absent: ReadonlySet<Reference>
  readonly #logPrefix: number | undefined
  readonly #verified = new Set<Reference>()

  /** @throws AslError CONFIG_INVALID, STORE_UNSUPPORTED, STORE_IO, LOG_CHAIN_BROKEN when the log has no header */
  constructor(root: string, fs: ReadFs, writeFs: StoreFs | undefined, options: OpenOptions = {}) {
    this.location = root
    this.paths = storePaths(root)
    this.fs = fs
    this.config = guarded(`Cannot open store "${root}"`, () =>
      decodeStoreConfig(readWholeFile(fs, this.paths.config, LARGEST_CONFIG_BYTES), this.paths.config),
    )
    this.files = new FileCache(fs)
    this.blocks = new BlockSource(this.files, this.paths)
    this.#reader = new ArtifactReader(this.blocks)
    this.index = new ArtifactIndex(this.config.domainNum)
    this.#logPrefix = options.logPrefix
    const isWritable = writeFs !== undefined && options.logPrefix === undefined
    this.writing = isWritable ? new WriteAccess(this, writeFs, options.lockWaitMs ?? 10_000) : undefined
    this.#absent = guarded(`Cannot open store "${root}"`, () => readAbsentList(fs, this.paths))
    this.refresh()
  }

  state(): StoreState {
    return { snapshotId: newestSnapshot(this.log)?.snapshotId, logPosition: this.log.position.logseq }
  }

  has(reference: Reference): boolean {
    return this.tryFind(reference) !== undefined
  }

  isDeclaredAbsent(reference: Reference): boolean {
    return this.#absent.has(reference)
  }

  tryStat(reference: Reference): ArtifactStat | undefined {
    const found = this.tryFind(reference)
    return found && { reference, typeTag: found.typeTag, sizeBytes: contentSize(found) }
  }

  read(reference: Reference, maxBytes = DEFAULT_READ_LIMIT_BYTES): Buffer {
    return guarded(`Cannot read ${reference} from "${this.location}"`, () => {
      const found = this.#readable(reference)
      if (contentSize(found) > maxBytes) {
        throw new AslError('LIMIT_EXCEEDED', `${reference} has ${contentSize(found)} bytes, ${maxBytes} are allowed`)
      }
      return this.#reader.read(found)
    })
  }

  *chunks(reference: Reference): Iterable<Buffer> {
    try {
      yield* this.#reader.chunks(this.#readable(reference))
    } catch (error) {
      throw asStoreError(error, `Cannot read ${reference} from "${this.location}"`)
    }
  }

  readRange(reference: Reference, offset: number, sizeBytes: number): Buffer {
    return guarded(`Cannot read ${reference} from "${this.location}"`, () => {
      const found = this.#readable(reference)
      const end = Math.min(contentSize(found), offset + sizeBytes)
      if (offset < 0 || sizeBytes < 0 || offset >= end) return Buffer.alloc(0)
      if (contentSize(found) <= SMALL_READ_BYTES) return this.#reader.read(found).subarray(offset, end)
      if (!this.#verified.has(reference)) {
        for (const _ of this.#reader.chunks(found)); // the whole of it, once for as long as the store is open
        this.#verified.add(reference)
      }
      return this.#reader.readUnverified(found, offset, end - offset)
    })
  }

  tryContentPath(reference: Reference): string | undefined {
    const found = this.tryFind(reference)
    if (found?.isContent !== true) return undefined
    const [extent, ...more] = found.extents()
    if (extent === undefined || more.length > 0 || extent.offset !== 0) return undefined
    const path = this.blocks.path(extent.blockId)
    if (this.files.tryOpen(path)?.sizeBytes !== extent.length) return undefined
    return this.fs.hostPath(path)
  }

  *references(typeTag?: TypeTag | null): Iterable<Reference> {
    if (this.damage[0] !== undefined) throw this.damage[0]
    for (const artifact of this.index.artifacts()) {
      if (hasTag(artifact, typeTag) && !this.isHidden(artifact)) yield artifact.reference
    }
  }

  openWriter(): StoreWriter {
    return new Batch(this, this.requireWriting())
  }

  /** @throws AslError STORE_READ_ONLY for a store inside an image, or one opened at an earlier state */
  requireWriting(): WriteAccess {
    if (this.writing !== undefined) return this.writing
    throw new AslError('STORE_READ_ONLY', `Store "${this.location}" was opened for reading`)
  }

  refresh(): void {
    guarded(`Cannot read the log of "${this.location}"`, () => this.#followLog())
  }

  close(): void {
    this.writing?.close()
    this.files.close()
  }

  /** The record that counts for an artifact: the newest, unless a tombstone hides it. */
  tryFind(reference: Reference): IndexedArtifact | undefined {
    return guarded(`Cannot look up ${reference} in "${this.location}"`, () => {
      const found = this.index.tryFind(reference)
      if (found !== undefined && !this.isHidden(found)) return found
      if (found === undefined && this.damage[0] !== undefined && !this.#absent.has(reference)) throw this.damage[0]
      return undefined
    })
  }

  /** A tombstone hides what was sealed before it; the same artifact put again later is visible. */
  isHidden(artifact: IndexedArtifact): boolean {
    if (this.log.tombstones.size === 0) return false
    const tombstone = this.log.tombstones.get(artifact.reference.slice(4))
    return tombstone !== undefined && tombstone.logseq > artifact.segment.logseq
  }

  /** A segment that this process has just sealed. */
  addSealedSegment(segmentId: number): void {
    const sealed = this.log.segments.at(-1)
    if (sealed?.segmentId !== segmentId) throw new Error(`segment ${segmentId} was not the last one sealed`)
    this.index.add(SegmentFile.open(this.files, segmentPath(this.paths, segmentId), sealed, true))
  }

  /** @throws AslError STORE_NOT_FOUND; STORE_BLOCK_MISSING when `gc` has not merely moved it */
  #readable(reference: Reference): IndexedArtifact {
    const found = this.#require(reference)
    try {
      for (const extent of found.extents()) this.blocks.open(extent.blockId)
      return found
    } catch (error) {
      if (!isAslError(error, 'STORE_BLOCK_MISSING')) throw error
      this.refresh() // gc may have copied it to another block since
      const again = this.#require(reference)
      if (again.segment === found.segment) throw error
      return again
    }
  }

  #require(reference: Reference): IndexedArtifact {
    const found = this.tryFind(reference)
    if (found !== undefined) return found
    const isDeclared = this.#absent.has(reference)
    throw new AslError('STORE_NOT_FOUND', `No artifact ${reference} in "${this.location}"`, {
      ...(isDeclared ? { hint: 'This store lists it as left out on purpose.' } : {}),
      details: { reference, declared_absent: isDeclared },
    })
  }

  #followLog(): void {
    if (this.damage.length > 0) return
    const before = this.log.segments.length
    if (this.fs.stat(this.paths.log) === undefined) {
      this.damage.push(new AslError('LOG_CHAIN_BROKEN', `There is no ${this.paths.log}`))
      return
    }
    try {
      this.logEnd = readLog(this.fs, this.paths.log, this.log.position, record => {
        if (this.#logPrefix === undefined || record.logseq <= this.#logPrefix) applyLogRecord(this.log, record)
      })
    } catch (error) {
      if (!isAslError(error, 'LOG_CHAIN_BROKEN')) throw error
      this.damage.push(error)
    }
    if (this.logEnd?.tail === 'broken') {
      this.damage.push(
        new AslError('LOG_CHAIN_BROKEN', `${this.paths.log}: ${this.logEnd.reason}, and records follow it`, {
          hint: 'The store is read-only up to there. Restore the log from a copy; it is never repaired by guessing.',
          details: { logseq: this.log.position.logseq, offset: this.logEnd.position.offset },
        }),
      )
    }
    for (const sealed of this.log.segments.slice(before)) {
      try {
        if (shardOf(sealed.segmentId) >= this.config.shardCount) {
          throw new AslError(
            'INDEX_SEGMENT_INVALID',
            `The log names segment ${sealed.segmentId} of a shard that is not there`,
          )
        }
        this.index.add(SegmentFile.open(this.files, segmentPath(this.paths, sealed.segmentId), sealed))
      } catch (error) {
        if (!isAslError(error, 'INDEX_SEGMENT_MISSING', 'INDEX_SEGMENT_HASH', 'INDEX_SEGMENT_INVALID')) throw error
        this.damage.push(error)
      }
    }
  }
}

/** Errors of the operating system leave the room as STORE_IO or DISK_FULL, never as an integrity error. */
export function guarded<T>(action: string, body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw asStoreError(error, action)
  }
}

function asStoreError(error: unknown, action: string): unknown {
  const isSystemError = error instanceof Error && 'syscall' in error
  return isSystemError && !isAslError(error) ? ioError(error, action) : error
}
