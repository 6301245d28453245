import { join } from 'node:path'
import { AslError, isAslError, messageOf, sha256 } from '../../core/mod.ts'
import { decodeAbsentList } from '../absent-list.ts'
import { BlockSource } from '../block-source.ts'
import { decodeStoreConfig, type StoreConfig } from '../config.ts'
import { FileCache } from '../file-cache.ts'
import { type ReadFs, readWholeFile } from '../fs.ts'
import {
  blockPath,
  parseSegmentName,
  type StorePaths,
  segmentId,
  segmentPath,
  shardPath,
  storePaths,
} from '../layout.ts'
import { type BlockWalk, liveRows, rowsByBlock, walkBlock, walkJoinedArtifacts } from './block-walk.ts'
import { type WalkedLog, walkLog } from './log-walk.ts'
import { type CheckReport, Findings } from './report.ts'
import { ExtentRows, walkSegment } from './segment-walk.ts'
import { walkSnapshots } from './snapshot-walk.ts'

export interface CheckOptions {
  /** Called after each block. */
  readonly onBlock?: (done: number, total: number, checkedBytes: number) => void
  readonly signal?: AbortSignal
}

/**
 * Reads all of a store and derives everything again: the chain, the segments, every block id, every reference, the
 * snapshots. It changes nothing, and reads the formats with code of its own, not with that of the writer.
 */
export function checkStore(fs: ReadFs, root: string, options: CheckOptions = {}): CheckReport {
  const paths = storePaths(root)
  const findings = new Findings()
  const configBytes = readConfigBytes(fs, paths)
  const config = parseConfig(configBytes, paths, findings)
  const log = walkLog(fs, paths.log, findings)
  if (configBytes !== undefined && log.configHash !== undefined && sha256(configBytes) !== log.configHash) {
    findings.add('CONFIG_INVALID', paths.config, `sha256 is ${sha256(configBytes)}, the log says ${log.configHash}`)
  }
  const rows = new ExtentRows()
  let checkedBytes = walkSegments(fs, paths, log, config, rows, findings)
  const sealedAt = log.segments.map(segment => segment.logseq)
  const { live, artifactCount } = liveRows(rows, sealedAt, log.tombstones)
  const files = new FileCache(fs)
  try {
    const blocks = new BlockSource(files, paths)
    const walk: BlockWalk = { findings, blocks, rows, live, damagedBlocks: [], collectedBlocks: log.collectedBlocks }
    const groups = rowsByBlock(rows)
    let done = 0
    for (const [blockId, group] of groups) {
      options.signal?.throwIfAborted()
      checkedBytes += walkBlock(walk, blockId, group)
      options.onBlock?.(++done, groups.size, checkedBytes)
    }
    walkJoinedArtifacts(walk)
    const isIndexWhole = !findings.list.some(
      finding => finding.code.startsWith('INDEX_') || finding.code === 'LOG_CHAIN_BROKEN',
    )
    const isBlockKnown = (blockId: string): boolean => !isIndexWhole || groups.has(blockId)
    const snapshotCount = walkSnapshots(fs, paths, log, config?.domainId, isBlockKnown, findings)
    walkFiles(fs, paths, log, groups, isIndexWhole, findings)
    walkAbsentList(fs, paths, findings)
    return {
      isClean: !findings.list.some(finding => finding.isDamage),
      findings: findings.list,
      artifactCount,
      blockCount: groups.size,
      segmentCount: log.segments.length,
      snapshotCount,
      logRecordCount: log.recordCount,
      checkedBytes,
      damagedBlocks: walk.damagedBlocks,
    }
  } finally {
    files.close()
  }
}

/** @throws AslError STORE_NOT_FOUND when there is no store at all */
function readConfigBytes(fs: ReadFs, paths: StorePaths): Buffer {
  if (fs.stat(paths.config) === undefined) {
    throw new AslError('STORE_NOT_FOUND', `No store at "${paths.root}": there is no meta/store.json`)
  }
  return readWholeFile(fs, paths.config, 64 * 1024)
}

function parseConfig(bytes: Buffer, paths: StorePaths, findings: Findings): StoreConfig | undefined {
  try {
    return decodeStoreConfig(bytes, paths.config)
  } catch (error) {
    if (!isAslError(error, 'CONFIG_INVALID', 'STORE_UNSUPPORTED')) throw error
    findings.add(error.code === 'CONFIG_INVALID' ? 'CONFIG_INVALID' : 'STORE_UNSUPPORTED', paths.config, error.message)
    return undefined
  }
}

function walkSegments(
  fs: ReadFs,
  paths: StorePaths,
  log: WalkedLog,
  config: StoreConfig | undefined,
  rows: ExtentRows,
  findings: Findings,
): number {
  let checkedBytes = 0
  for (const [number, { id, hash }] of log.segments.entries()) {
    const shardId = Number(id >> 32n)
    const path = segmentPath(paths, Number(id))
    if (config !== undefined && shardId >= config.shardCount) {
      findings.add('INDEX_SEGMENT_INVALID', path, `shard ${shardId} is beyond shard_count ${config.shardCount}`)
    }
    const domainNum = config?.domainNum ?? 0
    if (config !== undefined)
      checkedBytes += walkSegment(fs, path, { number, hash, shardId, domainNum }, rows, findings)
  }
  return checkedBytes
}

/** What lies in the store's folders and belongs to nothing. */
function walkFiles(
  fs: ReadFs,
  paths: StorePaths,
  log: WalkedLog,
  groups: ReadonlyMap<string, unknown>,
  isIndexWhole: boolean,
  findings: Findings,
): void {
  for (const folder of fs.readdir(paths.sealedBlocks)) {
    for (const name of fs.readdir(join(paths.sealedBlocks, folder))) {
      const path = join(paths.sealedBlocks, folder, name)
      const blockId = /^([0-9a-f]{64})\.blk(\.zst)?$/.exec(name)?.[1]
      if (blockId === undefined || !blockPath(paths, blockId).startsWith(join(paths.sealedBlocks, folder))) {
        findings.add('FILE_UNKNOWN', path, 'this is not the name of a block')
      } else if (isIndexWhole && !groups.has(blockId)) {
        findings.add('BLOCK_ORPHAN', path, "no segment names this block; 'asl gc' removes it", { blockId })
      }
    }
  }
  for (const name of fs.readdir(paths.openBlocks)) {
    findings.add('BLOCK_OPEN', join(paths.openBlocks, name), 'a batch is under way, or was cut short')
  }
  const named = new Set(log.segments.map(({ id }) => segmentPath(paths, Number(id))))
  for (const folder of fs.readdir(paths.index)) {
    const shard = Number(/^shard-(\d{3})$/.exec(folder)?.[1] ?? -1)
    if (shard < 0) findings.add('FILE_UNKNOWN', join(paths.index, folder), 'this is not the name of a shard')
    else {
      for (const name of fs.readdir(shardPath(paths, shard))) {
        const number = parseSegmentName(name)
        const path = join(shardPath(paths, shard), name)
        if (number === undefined || !named.has(segmentPath(paths, segmentId(shard, number)))) {
          findings.add('SEGMENT_UNNAMED', path, 'the log names no such segment')
        }
      }
    }
  }
}

function walkAbsentList(fs: ReadFs, paths: StorePaths, findings: Findings): void {
  if (fs.stat(paths.absent) === undefined) return
  try {
    decodeAbsentList(readWholeFile(fs, paths.absent, 1024 ** 3))
  } catch (error) {
    if (!isAslError(error)) throw error
    findings.add('RECORD_INVALID', paths.absent, messageOf(error))
  }
}
