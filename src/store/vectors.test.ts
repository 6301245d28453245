/** The vectors of the reference §5–§7, byte for byte: the log, the segment and the snapshot of a store that holds `hello`. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeArtifact, referenceDigest, referenceOf, type Sha256, sha256 } from '../core/mod.ts'
import { decodeStoreConfig, encodeStoreConfig } from './config.ts'
import { diskFs } from './disk-fs.ts'
import { FileCache } from './file-cache.ts'
import {
  encodeLogHeader,
  encodeLogRecord,
  LOG_START,
  type LogRecord,
  positionAfter,
  RECORD_TYPES,
} from './log-codec.ts'
import { decodeSegmentSeal, decodeTombstone, encodeSegmentSeal, encodeTombstone } from './log-payloads.ts'
import { readLog } from './log-reader.ts'
import { RecordTable } from './record-table.ts'
import { writeSegment } from './segment-codec.ts'
import { SegmentFile } from './segment-file.ts'
import { SNAPSHOT } from './snapshot-codec.ts'

const HELLO = referenceOf('hello')
const SEGMENT_HASH = '3ba2303e55468419086d3828a4098cd018a0f1c8d54da7dc52501345d7f30378' as Sha256
const SEGMENT = [
  '41534c494458303101000000700000000000000000000000ffffffffffffffff0100000000000000700000000000000000000000000000000000000000000000',
  'a8000000000000002000000000000000c8000000000000000100000000000000010000000001000000000000000000000100000020000000a800000000000000',
  'c80000000000000001000000000000000e00000000000000010000000000000000000000000000001f1d4ea728bc4c10bbc8211c7644aa950b6296c9b3e70d26',
  '3e4ae6fc83e895e41f1d4ea728bc4c10bbc8211c7644aa950b6296c9b3e70d263e4ae6fc83e895e400000000000000000e000000000000002c83f6fd00000000',
  '0801000000000000',
].join('')

function inScratch(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'asl-vectors-'))
  try {
    body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('the segment of `hello` alone in its block has the bytes of the reference §6, and reads back', () => {
  const table = new RecordTable()
  const digest = referenceDigest(HELLO)
  table.add(digest, { typeTag: undefined, isContent: false, totalLength: 14, block: 0, offset: 0 })
  const parts: Buffer[] = []
  const options = { shardId: 0, snapshotMin: 0, domainNum: 1, blockIds: [digest] }
  const { segmentHash } = writeSegment(table, options, bytes => parts.push(Buffer.from(bytes)))
  const bytes = Buffer.concat(parts)
  assert.equal(bytes.toString('hex'), SEGMENT)
  assert.equal(segmentHash, SEGMENT_HASH)
  inScratch(folder => {
    const path = join(folder, 'segment-0001.idx')
    writeFileSync(path, bytes)
    const files = new FileCache(diskFs)
    const segment = SegmentFile.open(files, path, { segmentId: 1, segmentHash, logseq: 1 })
    assert.equal(segment.recordCount, 1)
    assert.ok(segment.isDigest(0, digest))
    const record = segment.record(0)
    assert.equal(record.totalLength, encodeArtifact(Buffer.from('hello')).length)
    assert.deepEqual(segment.extents(record), [{ blockId: HELLO.slice(4), offset: 0, length: 14 }])
    files.close()
  })
})

test('a log of one seal and one tombstone has the bytes of the reference §5, and reads back', () => {
  const seal = encodeLogRecord(
    LOG_START,
    RECORD_TYPES.SEGMENT_SEAL,
    encodeSegmentSeal({ segmentId: 1, segmentHash: SEGMENT_HASH }),
  )
  assert.equal(seal.subarray(0, 16).toString('hex'), '01000000000000000100000028000000')
  const first = '5f7034bd1bbc782965f8440694c370090b974f39fe3c096e2b44af0ada761bc4'
  assert.equal(seal.subarray(-32).toString('hex'), first)
  const after = { offset: 24 + seal.length, logseq: 1, hash: seal.subarray(-32) }
  const tombstone = encodeLogRecord(
    after,
    RECORD_TYPES.TOMBSTONE,
    encodeTombstone({ digest: HELLO.slice(4), reason: 1 }),
  )
  assert.equal(
    tombstone.subarray(-32).toString('hex'),
    '7a9f3c45e54642f40dbb41e03008e2159fffb41ebb04b034ccb4c633974a68fd',
  )
  const log = Buffer.concat([encodeLogHeader(), seal, tombstone])
  assert.equal(log.length, 208)
  assert.equal(sha256(log), '93b2e5689e2357f8b37473d8995816a7ae0952224428fa70aae8c6ec5722de29')
  inScratch(folder => {
    const path = join(folder, 'asl.log')
    writeFileSync(path, log)
    const records: LogRecord[] = []
    const end = readLog(diskFs, path, LOG_START, record => records.push(record))
    assert.equal(end.tail, 'clean')
    assert.equal(records.length, 2)
    assert.deepEqual(decodeSegmentSeal(records[0]!), { segmentId: 1, segmentHash: SEGMENT_HASH })
    assert.deepEqual(decodeTombstone(records[1]!), { digest: HELLO.slice(4), reason: 1 })
    assert.deepEqual(end.position, positionAfter(records[1]!))
  })
})

test('the snapshot of that store after its first record has the hash of the reference §7', () => {
  const bytes = SNAPSHOT.encode({
    domainId: '00000000-0000-0000-0000-000000000001',
    snapshotId: 0,
    logPrefix: 1,
    logHash: '5f7034bd1bbc782965f8440694c370090b974f39fe3c096e2b44af0ada761bc4' as Sha256,
    segments: [[1, SEGMENT_HASH]],
    blocks: [HELLO.slice(4) as Sha256],
  })
  assert.equal(bytes.length, 226)
  assert.equal(sha256(bytes), '6b4dc2263331bf2f1b95a44732ac42892338c7ab9f4a1c5544044a9abecda517')
  assert.equal(SNAPSHOT.decode(bytes).logPrefix, 1)
})

test('store.json has the text of the reference §4 and reads back', () => {
  const text =
    '{"domain_id":"00000000-0000-0000-0000-000000000001","domain_num":1,"encoding_profile":"0x0001","format":"asl-store",' +
    '"hash_id":"0x0001","layout_revision":1,"packing":{"block_target":16777216,"chunking":"none","compression":"none",' +
    '"small_max":1048576},"shard_count":1,"version":1}\n'
  const config = decodeStoreConfig(Buffer.from(text), 'store.json')
  assert.equal(encodeStoreConfig(config).toString(), text)
})
