import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  AslError,
  artifactHeaderSize,
  compareReferences,
  domainNumber,
  encodeArtifactHeader,
  hexOf,
  parseDomainId,
  type Reference,
  referenceDigest,
  type Sha256,
  sha256,
} from '../core/mod.ts'
import { ioError } from '../sys/mod.ts'
import { encodeAbsentList } from './absent-list.ts'
import { BlockWriter } from './block-writer.ts'
import { DEFAULT_BLOCK_TARGET_BYTES, DEFAULT_SMALL_MAX_BYTES, encodeStoreConfig, type StoreConfig } from './config.ts'
import { diskFs } from './disk-fs.ts'
import type { StoreFs } from './fs.ts'
import type { ArtifactStat, StoreReader } from './interface.ts'
import { blockPath, type StorePaths, segmentId, segmentPath, snapshotPath, storePaths } from './layout.ts'
import { encodeLogHeader, encodeLogRecord, LOG_START, RECORD_TYPES } from './log-codec.ts'
import { BLOCK_ROLES, encodeSegmentSeal, encodeSnapshotAnchor } from './log-payloads.ts'
import { RecordTable } from './record-table.ts'
import { packSeekableZstd } from './seekable-zstd.ts'
import { type WrittenSegment, writeSegment } from './segment-codec.ts'
import { SNAPSHOT } from './snapshot-codec.ts'

export interface ImageStoreOptions {
  /** A UUID, or a plain name that stands for one. */
  readonly domainId: string
  /** SOURCE_DATE_EPOCH in whole seconds: the time of every file and folder. */
  readonly epoch: number
  /** Packed blocks lie in the zstd seekable format where that makes them smaller. Default false. */
  readonly isCompressed?: boolean
  readonly onArtifact?: (reference: Reference, sizeBytes: number) => void
  readonly signal?: AbortSignal
}

export interface PackedImageStore {
  readonly artifactCount: number
  readonly absentCount: number
  readonly sizeBytes: number
  /** Raw hash of `snapshot.cbor` of snapshot 0: it names the whole content of the store. */
  readonly rootHash: string
}

/**
 * Packs artifacts anew into a store for an image (reference §4): in ascending order, one shard, one segment, snapshot 0,
 * every time and mode fixed. The same set in gives the same bytes out, wherever and in whatever order it is given.
 * @throws AslError STORE_EXISTS when `target` is not empty; whatever reading an artifact throws
 */
export function packImageStore(
  source: StoreReader,
  references: Iterable<Reference>,
  absent: Iterable<Reference>,
  target: string,
  options: ImageStoreOptions,
): PackedImageStore {
  const paths = storePaths(target)
  const config = configOf(options)
  const wanted = [...new Set(references)].sort(compareReferences)
  const present = new Set(wanted)
  const left = [...new Set(absent)].filter(reference => !present.has(reference))
  try {
    layOut(paths, config, left)
    const { records, blocks, sizeBytes } = packArtifacts(source, wanted, paths, config, options)
    const segment = writeIndex(paths, config, records, blocks)
    if (options.isCompressed === true) compressBlocks(paths, blocks)
    const rootHash = writeHistory(paths, config, segment, blocks)
    rmdirSync(paths.openBlocks)
    settle(target, options.epoch)
    return { artifactCount: wanted.length, absentCount: left.length, sizeBytes, rootHash }
  } catch (error) {
    throw error instanceof AslError ? error : ioError(error, `Cannot pack a store at "${target}"`)
  }
}

function configOf(options: ImageStoreOptions): StoreConfig {
  const domainId = parseDomainId(options.domainId)
  return {
    domainId,
    domainNum: domainNumber(domainId),
    shardCount: 1,
    blockTargetBytes: DEFAULT_BLOCK_TARGET_BYTES,
    smallMaxBytes: DEFAULT_SMALL_MAX_BYTES,
    chunking: 'none',
    compression: options.isCompressed === true ? 'zstd' : 'none',
  }
}

function layOut(paths: StorePaths, config: StoreConfig, absent: readonly Reference[]): void {
  mkdirSync(paths.root, { recursive: true })
  if (readdirSync(paths.root).length > 0) {
    throw new AslError('STORE_EXISTS', `Cannot pack a store at "${paths.root}": the folder is not empty`)
  }
  for (const folder of [
    'meta',
    'blocks',
    'blocks/open',
    'blocks/sealed',
    'index',
    'index/shard-000',
    'log',
    'snapshots',
  ]) {
    mkdirSync(join(paths.root, folder))
  }
  writeFileSync(paths.config, encodeStoreConfig(config))
  if (absent.length > 0) writeFileSync(paths.absent, encodeAbsentList(absent))
}

/** The result is checked by its digests and goes into an image: nothing needs to survive a power cut on the way. */
const unsyncedFs: StoreFs = {
  ...diskFs,
  fsync: () => {},
  fsyncFolder: () => {},
  syncAll: () => {},
  startWriteback: () => {},
}

interface PackedArtifacts {
  readonly records: RecordTable
  readonly blocks: BlockWriter
  readonly sizeBytes: number
}

function packArtifacts(
  source: StoreReader,
  references: readonly Reference[],
  paths: StorePaths,
  config: StoreConfig,
  options: ImageStoreOptions,
): PackedArtifacts {
  const blocks = new BlockWriter(unsyncedFs, paths, config)
  const records = new RecordTable()
  let sizeBytes = 0
  try {
    for (const reference of references) {
      options.signal?.throwIfAborted()
      const stat = source.tryStat(reference)
      // Reading what is absent throws the error that says in which way it is.
      if (stat === undefined)
        throw new Error(`${reference} is absent, but ${source.read(reference).length} bytes were read`)
      packArtifact(source, stat, blocks, records, config)
      sizeBytes += stat.sizeBytes
      options.onArtifact?.(reference, stat.sizeBytes)
    }
    blocks.sync()
    blocks.publish()
  } finally {
    blocks.close()
  }
  return { records, blocks, sizeBytes }
}

function packArtifact(
  source: StoreReader,
  stat: ArtifactStat,
  blocks: BlockWriter,
  records: RecordTable,
  config: StoreConfig,
): void {
  const { reference, typeTag, sizeBytes } = stat
  const totalLength = artifactHeaderSize(typeTag) + sizeBytes
  const digest = referenceDigest(reference)
  const isSmall = typeTag !== undefined || sizeBytes <= config.smallMaxBytes
  if (isSmall && totalLength <= config.blockTargetBytes) {
    const header = encodeArtifactHeader(typeTag, sizeBytes)
    const space = blocks.space(totalLength)
    space.set(header)
    space.set(source.read(reference), header.length)
    records.add(digest, { ...blocks.keep(space.subarray(0, totalLength)), typeTag, isContent: false, totalLength })
    return
  }
  const isRaw = typeTag === undefined
  const stream = blocks.startStream(isRaw ? BLOCK_ROLES.raw : BLOCK_ROLES.packed)
  try {
    if (!isRaw) stream.write(encodeArtifactHeader(typeTag, sizeBytes))
    for (const piece of source.chunks(reference)) stream.write(piece)
    records.add(digest, { block: stream.finish(), offset: 0, typeTag, isContent: isRaw, totalLength })
  } catch (error) {
    stream.abort()
    throw error
  }
}

const SEGMENT_ID = segmentId(0, 1)
const SNAPSHOT_ID = 0

function writeIndex(paths: StorePaths, config: StoreConfig, records: RecordTable, blocks: BlockWriter): WrittenSegment {
  const fd = diskFs.create(segmentPath(paths, SEGMENT_ID), 0o644)
  try {
    const blockIds = blocks.blocks.map(block => Buffer.from(block.blockId, 'hex'))
    const options = { shardId: 0, snapshotMin: SNAPSHOT_ID, domainNum: config.domainNum, blockIds }
    return writeSegment(records, options, (bytes, position) => diskFs.pwrite(fd, bytes, position))
  } finally {
    diskFs.close(fd)
  }
}

function compressBlocks(paths: StorePaths, blocks: BlockWriter): void {
  for (const { blockId, roles } of blocks.blocks) {
    if (roles !== BLOCK_ROLES.packed) continue
    const path = blockPath(paths, blockId)
    const bytes = readFileSync(path)
    const packed = packSeekableZstd(bytes)
    if (packed.length >= bytes.length) continue
    writeFileSync(`${path}.zst`, packed)
    unlinkSync(path)
  }
}

/** log = SEGMENT_SEAL, SNAPSHOT_ANCHOR; and the snapshot between them. */
function writeHistory(paths: StorePaths, config: StoreConfig, segment: WrittenSegment, blocks: BlockWriter): string {
  const { segmentHash } = segment
  const seal = encodeLogRecord(
    LOG_START,
    RECORD_TYPES.SEGMENT_SEAL,
    encodeSegmentSeal({ segmentId: SEGMENT_ID, segmentHash }),
  )
  const logHash = seal.subarray(seal.length - 32)
  const snapshot = SNAPSHOT.encode({
    domainId: config.domainId,
    snapshotId: SNAPSHOT_ID,
    logPrefix: 1,
    logHash: hexOf(logHash) as Sha256,
    segments: [[SEGMENT_ID, segmentHash]],
    blocks: [...new Set(blocks.blocks.map(block => block.blockId as Sha256))],
  })
  const rootHash = sha256(snapshot)
  const afterSeal = { offset: LOG_START.offset + seal.length, logseq: 1, hash: logHash }
  const anchor = encodeSnapshotAnchor({ snapshotId: SNAPSHOT_ID, rootHash })
  const record = encodeLogRecord(afterSeal, RECORD_TYPES.SNAPSHOT_ANCHOR, anchor)
  writeFileSync(paths.log, Buffer.concat([encodeLogHeader(), seal, record]))
  mkdirSync(snapshotPath(paths, SNAPSHOT_ID))
  writeFileSync(join(snapshotPath(paths, SNAPSHOT_ID), 'snapshot.cbor'), snapshot)
  return rootHash
}

/** Modes and times that depend on nothing but the epoch, folders last: making files in them changes their time. */
function settle(folder: string, epoch: number): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      settle(path, epoch)
      continue
    }
    chmodSync(path, 0o444)
    lutimesSync(path, epoch, epoch)
  }
  chmodSync(folder, 0o755)
  lutimesSync(folder, epoch, epoch)
}
