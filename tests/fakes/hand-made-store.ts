import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { encodeJson } from '../../src/core/mod.ts'

/** A store written byte by byte from the format page, without the room's own writer: for what that writer never makes. */
export interface HandMadeStore {
  readonly blocks: readonly Buffer[]
  readonly segments: readonly HandMadeSegment[]
  readonly shardCount?: number
  readonly domainNum?: number
}

export interface HandMadeSegment {
  readonly shard?: number
  readonly records: readonly HandMadeRecord[]
  /** Changes the finished bytes, before the checksum and the log's hash are made. */
  readonly spoil?: (bytes: Buffer) => void
}

export interface HandMadeRecord {
  /** Hex, 64 digits. */
  readonly digest: string
  readonly totalLength: number
  readonly typeTag?: number
  readonly isContent?: boolean
  readonly isTombstone?: boolean
  readonly domainNum?: number
  /** Index of a block, offset, length. */
  readonly extents: readonly (readonly [block: number, offset: number, length: number])[]
}

const DOMAIN_ID = '00000000-0000-0000-0000-000000000001'

export function writeHandMadeStore(root: string, store: HandMadeStore): void {
  const shardCount = store.shardCount ?? 1
  const shards = Array.from({ length: shardCount }, (_, i) => `index/shard-${String(i).padStart(3, '0')}`)
  for (const folder of ['meta', 'blocks/open', 'blocks/sealed', ...shards, 'log', 'snapshots', 'tmp']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  const blockIds = store.blocks.map(bytes => sha256(bytes))
  for (const [i, bytes] of store.blocks.entries()) {
    const folder = join(root, 'blocks/sealed', blockIds[i]!.slice(0, 2))
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `${blockIds[i]}.blk`), bytes)
  }
  const numbers = new Map<number, number>()
  let log = Buffer.from('41534c4c4f47303101000000180000000000000000000000', 'hex')
  let previous: Buffer = Buffer.alloc(32)
  for (const [i, segment] of store.segments.entries()) {
    const shard = segment.shard ?? 0
    const number = (numbers.get(shard) ?? 0) + 1
    numbers.set(shard, number)
    const bytes = segmentBytes(segment, blockIds, store.domainNum ?? 1)
    const path = join(root, shards[shard]!, `segment-${String(number).padStart(4, '0')}.idx`)
    writeFileSync(path, bytes)
    chmodSync(path, 0o444)
    const id = u64(number)
    id.writeUInt32LE(shard, 4)
    const body = Buffer.concat([u64(i + 1), u32(1), u32(40), id, Buffer.from(sha256(bytes), 'hex')])
    previous = createHash('sha256').update(previous).update(body).digest()
    log = Buffer.concat([log, body, previous])
  }
  writeFileSync(join(root, 'log/asl.log'), log)
  const config = {
    domain_id: DOMAIN_ID,
    domain_num: 1,
    encoding_profile: '0x0001',
    format: 'asl-store',
    hash_id: '0x0001',
    layout_revision: 1,
    packing: { block_target: 16777216, chunking: 'none', compression: 'none', small_max: 1048576 },
    shard_count: shardCount,
    version: 1,
  }
  writeFileSync(join(root, 'meta/store.json'), encodeJson(config))
}

function segmentBytes(segment: HandMadeSegment, blockIds: readonly string[], domainNum: number): Buffer {
  const records = [...segment.records].sort((a, b) => (a.digest < b.digest ? -1 : 1))
  const digestsAt = 112 + records.length * 56
  const extentsAt = digestsAt + records.length * 32
  const extentCount = records.reduce((sum, record) => sum + record.extents.length, 0)
  const header = Buffer.concat([
    Buffer.from('ASLIDX01'),
    u16(1),
    u16(segment.shard ?? 0),
    u32(112),
    u64(0),
    Buffer.alloc(8, 0xff),
    u64(records.length),
    u64(112),
    u64(0),
    u64(0),
    u64(digestsAt),
    u64(records.length * 32),
    u64(extentsAt),
    u64(extentCount),
    u32(domainNum),
    Buffer.from([0, 1, 0, 0]),
    u64(0),
  ])
  let nextExtent = extentsAt
  const rows = records.map((record, i) => {
    const flags = (record.isTombstone ? 1 : 0) | (record.typeTag === undefined ? 0 : 2) | (record.isContent ? 4 : 0)
    const first = record.extents.length === 0 ? 0 : nextExtent
    nextExtent += record.extents.length * 48
    return Buffer.concat([
      u32(1),
      u16(32),
      u16(0),
      u64(digestsAt + i * 32),
      u64(first),
      u32(record.extents.length),
      u32(record.typeTag ?? 0),
      u64(record.totalLength),
      u32(record.domainNum ?? domainNum),
      Buffer.alloc(8),
      u32(flags),
    ])
  })
  const extents = records.flatMap(record =>
    record.extents.map(([block, offset, length]) => {
      return Buffer.concat([Buffer.from(blockIds[block]!, 'hex'), u64(offset), u64(length)])
    }),
  )
  const digests = records.map(record => Buffer.from(record.digest, 'hex'))
  const body = Buffer.concat([header, ...rows, ...digests, ...extents])
  segment.spoil?.(body)
  return Buffer.concat([body, u32(crc32(body)), u32(0), u64(body.length + 16)])
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
