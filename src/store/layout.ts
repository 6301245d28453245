import { join } from 'node:path'

/** Where everything lies below a store's root (reference §4). */
export const STORE_FOLDERS = [
  'meta',
  'blocks',
  'blocks/open',
  'blocks/sealed',
  'index',
  'index/shard-000',
  'log',
  'snapshots',
  'tmp',
] as const

/** Views for people in a build store: plain copies, never read back as truth. */
export const VIEW_FOLDERS = ['binaries', 'scripts', 'per', 'runs'] as const

export interface StorePaths {
  readonly root: string
  readonly config: string
  readonly absent: string
  readonly log: string
  readonly lock: string
  readonly tmp: string
  readonly openBlocks: string
  readonly sealedBlocks: string
  readonly index: string
  readonly snapshots: string
  /** Block ids that failed their last check, one a line: a writer trusts none of them. */
  readonly damagedBlocks: string
  readonly gcCandidates: string
}

export function storePaths(root: string): StorePaths {
  return {
    root,
    config: join(root, 'meta/store.json'),
    absent: join(root, 'meta/absent.cbor'),
    log: join(root, 'log/asl.log'),
    lock: join(root, 'tmp/writer.lock'),
    tmp: join(root, 'tmp'),
    openBlocks: join(root, 'blocks/open'),
    sealedBlocks: join(root, 'blocks/sealed'),
    index: join(root, 'index'),
    snapshots: join(root, 'snapshots'),
    damagedBlocks: join(root, 'tmp/damaged-blocks.txt'),
    gcCandidates: join(root, 'tmp/gc-candidates.json'),
  }
}

const SHARD_FACTOR = 2 ** 32

/** `segment_id = shard × 2^32 + number`. */
export function segmentId(shard: number, number: number): number {
  return shard * SHARD_FACTOR + number
}

export function shardOf(id: number): number {
  return Math.floor(id / SHARD_FACTOR)
}

export function segmentPath(paths: StorePaths, id: number): string {
  return join(shardPath(paths, shardOf(id)), `segment-${String(id % SHARD_FACTOR).padStart(4, '0')}.idx`)
}

export function shardPath(paths: StorePaths, shard: number): string {
  return join(paths.index, `shard-${String(shard).padStart(3, '0')}`)
}

/** The number in `segment-0001.idx`, or `undefined` for another file. */
export function parseSegmentName(name: string): number | undefined {
  const digits = /^segment-(\d{4,10})\.idx$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export function blockFolder(paths: StorePaths, blockId: string): string {
  return join(paths.sealedBlocks, blockId.slice(0, 2))
}

export function blockPath(paths: StorePaths, blockId: string): string {
  return join(blockFolder(paths, blockId), `${blockId}.blk`)
}

export function snapshotPath(paths: StorePaths, snapshotId: number): string {
  return join(paths.snapshots, String(snapshotId).padStart(8, '0'))
}

/** The number of a snapshot folder, or `undefined` for another name. */
export function parseSnapshotName(name: string): number | undefined {
  return /^\d{8,15}$/.test(name) ? Number(name) : undefined
}
