/** Stores that our writer would not write: several extents, several shards, tombstones in the index, and lies. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  type HandMadeRecord,
  type HandMadeSegment,
  type HandMadeStore,
  writeHandMadeStore,
} from '../../tests/fakes/hand-made-store.ts'
import { encodeArtifact, type Reference, referenceOf, type TypeTag } from '../core/mod.ts'
import { checkStore, collectGarbage, type DiskStore, diskFs, openReader, openStore } from './mod.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-foreign-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0

function open(store: HandMadeStore): DiskStore {
  const root = join(scratch, String(count++))
  writeHandMadeStore(root, store)
  return openReader(diskFs, root)
}

const HELLO = Buffer.from('hello, world')
const REFERENCE = referenceOf(HELLO)
const PACKED: HandMadeRecord = {
  digest: REFERENCE.slice(4),
  totalLength: 9 + HELLO.length,
  extents: [[0, 0, 9 + HELLO.length]],
}

test('content in several extents over several blocks is put together, in pieces and in parts', () => {
  const pieces = [Buffer.alloc(1 << 20, 'a'), Buffer.alloc(3_000_000, 'b'), Buffer.alloc(500_000, 'c')]
  const whole = Buffer.concat([pieces[1]!, pieces[0]!, pieces[2]!, pieces[0]!.subarray(10, 500)])
  const reference = referenceOf(whole)
  const record: HandMadeRecord = {
    digest: reference.slice(4),
    totalLength: 9 + whole.length,
    isContent: true,
    extents: [
      [1, 0, 3_000_000],
      [0, 0, 1 << 20],
      [2, 0, 500_000],
      [0, 10, 490],
    ],
  }
  const store = open({ blocks: pieces, segments: [{ records: [record] }] })
  assert.ok(store.read(reference).equals(whole))
  assert.ok(Buffer.concat([...store.chunks(reference)]).equals(whole))
  for (const [offset, size] of [
    [2_999_990, 20],
    [3_000_000 + (1 << 20) - 5, 500_010],
    [whole.length - 491, 600],
  ] as const) {
    assert.ok(store.readRange(reference, offset, size).equals(whole.subarray(offset, offset + size)))
  }
  assert.equal(store.tryContentPath(reference), undefined)
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  store.close()
})

test('ArtifactBytes whose header itself is cut across extents are read and verified', () => {
  const tagged = encodeArtifact(HELLO, 0x777 as TypeTag)
  const reference = referenceOf(HELLO, 0x777 as TypeTag)
  const record: HandMadeRecord = {
    digest: reference.slice(4),
    totalLength: tagged.length,
    typeTag: 0x777,
    extents: [
      [0, 0, 5],
      [1, 0, tagged.length - 5],
    ],
  }
  const store = open({ blocks: [tagged.subarray(0, 5), tagged.subarray(5)], segments: [{ records: [record] }] })
  assert.ok(store.read(reference).equals(HELLO))
  assert.ok(Buffer.concat([...store.chunks(reference)]).equals(HELLO))
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  store.close()
})

test('a header in the block that says otherwise than the index is no artifact', () => {
  const lying = encodeArtifact(HELLO)
  lying[8] = HELLO.length + 1
  const store = open({ blocks: [lying], segments: [{ records: [PACKED] }] })
  assert.throws(() => store.read(REFERENCE), { code: 'STORE_INTEGRITY' })
  assert.throws(() => [...store.chunks(REFERENCE)], { code: 'STORE_INTEGRITY' })
  assert.throws(() => store.readRange(REFERENCE, 0, 3), { code: 'STORE_INTEGRITY' })
  assert.equal(checkStore(diskFs, store.location).isClean, false)
  store.close()
})

test('the newest of several records for one artifact counts', () => {
  const damaged = Buffer.alloc(9 + HELLO.length, 'x')
  const old: HandMadeSegment = { records: [{ ...PACKED, extents: [[1, 0, 9 + HELLO.length]] }] }
  const store = open({ blocks: [encodeArtifact(HELLO), damaged], segments: [old, { records: [PACKED] }] })
  assert.ok(store.read(REFERENCE).equals(HELLO))
  store.close()
  const reversed = open({ blocks: [encodeArtifact(HELLO), damaged], segments: [{ records: [PACKED] }, old] })
  assert.throws(() => reversed.read(REFERENCE), { code: 'STORE_INTEGRITY' })
  reversed.close()
})

test('a tombstone in the index hides what is older, in its own domain only', () => {
  const tombstone: HandMadeRecord = { ...PACKED, isTombstone: true, extents: [] }
  const blocks = [encodeArtifact(HELLO)]
  const hidden = open({ blocks, segments: [{ records: [PACKED] }, { records: [tombstone] }] })
  assert.equal(hidden.has(REFERENCE), false)
  assert.deepEqual([...hidden.references()], [])
  const foreign = open({ blocks, segments: [{ records: [PACKED] }, { records: [{ ...tombstone, domainNum: 9 }] }] })
  assert.ok(foreign.has(REFERENCE))
  assert.deepEqual([...foreign.references()], [REFERENCE])
  hidden.close()
  foreign.close()
})

test('gc leaves a block that is little used alone when plain content lies in it', () => {
  const block = Buffer.alloc(1000, 'x')
  const part = block.subarray(0, 10)
  const record: HandMadeRecord = {
    digest: referenceOf(part).slice(4),
    totalLength: 19,
    isContent: true,
    extents: [[0, 0, 10]],
  }
  const root = join(scratch, String(count++))
  writeHandMadeStore(root, { blocks: [block, Buffer.from('orphan')], segments: [{ records: [record] }] })
  const store = openStore(root)
  assert.equal(collectGarbage(store, { nowMs: 0, graceMs: 0 }).removed.length, 1)
  assert.ok(store.read(referenceOf(part)).equals(part))
  assert.deepEqual(checkStore(diskFs, root).findings, [])
  store.close()
})

test('a store with several shards is read, and not written', () => {
  const contents = Array.from({ length: 20 }, (_, i) => Buffer.from(`content ${i}`))
  const blocks = contents.map(bytes => encodeArtifact(bytes))
  const references = contents.map(bytes => referenceOf(bytes))
  const shardOf = (reference: Reference): number => Number.parseInt(reference.slice(4, 6), 16) % 4
  const segments = [0, 1, 2, 3].map(shard => ({
    shard,
    records: references.flatMap((reference, i): HandMadeRecord[] => {
      if (shardOf(reference) !== shard) return []
      return [{ digest: reference.slice(4), totalLength: blocks[i]!.length, extents: [[i, 0, blocks[i]!.length]] }]
    }),
  }))
  const root = join(scratch, String(count++))
  writeHandMadeStore(root, { blocks, segments, shardCount: 4 })
  const store = openStore(root)
  for (const [i, reference] of references.entries()) assert.ok(store.read(reference).equals(contents[i]!))
  assert.deepEqual([...store.references()], [...references].sort())
  assert.throws(() => store.openWriter(), { code: 'STORE_UNSUPPORTED' })
  assert.deepEqual(checkStore(diskFs, root).findings, [])
  store.close()
})

test('a segment that lies about itself is refused before it is followed', () => {
  const u64 = (bytes: Buffer, value: number, at: number): void => void bytes.writeBigUInt64LE(BigInt(value), at)
  const lies: readonly (readonly [what: string, spoil: (bytes: Buffer) => void])[] = [
    ['records beyond the end', bytes => u64(bytes, 2 ** 40, 32)],
    ['records before the header', bytes => u64(bytes, 0, 40)],
    ['digests beyond the end', bytes => u64(bytes, 2 ** 52, 64)],
    ['digests of another size', bytes => u64(bytes, 31, 72)],
    ['extents beyond the end', bytes => u64(bytes, 2 ** 40, 88)],
    ['an offset above 2^53', bytes => bytes.fill(0xff, 80, 88)],
    ['another magic', bytes => void bytes.write('ASLIDX02', 0)],
  ]
  for (const [what, spoil] of lies) {
    const store = open({ blocks: [encodeArtifact(HELLO)], segments: [{ records: [PACKED], spoil }] })
    assert.throws(() => store.has(REFERENCE), { code: 'INDEX_SEGMENT_INVALID' }, what)
    assert.equal(checkStore(diskFs, store.location).isClean, false, what)
    store.close()
  }
})

test('a record that lies about its artifact is refused when it is read', () => {
  const at = 112
  const lies: readonly (readonly [what: string, spoil: (bytes: Buffer) => void])[] = [
    ['no extents', bytes => void bytes.writeUInt32LE(0, at + 24)],
    ['a million extents', bytes => void bytes.writeUInt32LE(1_000_000, at + 24)],
    ['extents in the header', bytes => void bytes.writeBigUInt64LE(0n, at + 16)],
    ['a length below its header', bytes => void bytes.writeBigUInt64LE(8n, at + 32)],
    ['a length above 2^53', bytes => void bytes.fill(0xff, at + 32, at + 40)],
    ['extents that cover less', bytes => void bytes.writeBigUInt64LE(1000n, at + 32)],
    ['its digest elsewhere', bytes => void bytes.writeBigUInt64LE(112n, at + 8)],
    ['another hash', bytes => void bytes.writeUInt32LE(2, at)],
  ]
  for (const [what, spoil] of lies) {
    const store = open({ blocks: [encodeArtifact(HELLO)], segments: [{ records: [PACKED], spoil }] })
    assert.throws(() => store.read(REFERENCE), { code: 'INDEX_SEGMENT_INVALID' }, what)
    assert.equal(checkStore(diskFs, store.location).isClean, false, what)
    store.close()
  }
})

test('digests made up to collide do not turn opening into an endless walk', () => {
  const records = Array.from({ length: 100_000 }, (_, i): HandMadeRecord => {
    return { digest: `00000000${i.toString(16).padStart(56, '0')}`, totalLength: 9, extents: [[0, 0, 9]] }
  })
  const store = open({ blocks: [encodeArtifact(Buffer.alloc(0))], segments: [{ records }] })
  assert.throws(() => store.has(REFERENCE), { code: 'INDEX_SEGMENT_INVALID' })
  store.close()
})

test('an extent beyond its block is STORE_BLOCK_INVALID', () => {
  const record: HandMadeRecord = { ...PACKED, extents: [[0, 5, PACKED.totalLength]] }
  const store = open({ blocks: [encodeArtifact(HELLO)], segments: [{ records: [record] }] })
  assert.throws(() => store.read(REFERENCE), { code: 'STORE_BLOCK_INVALID' })
  assert.equal(checkStore(diskFs, store.location).isClean, false)
  store.close()
})
