/** Stores that are broken in one plain way each: what reading, check and the next writer make of them. */
import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { SimulatedFs } from '../../tests/fakes/simulated-fs.ts'
import { type Reference, TREE } from '../core/mod.ts'
import {
  type CheckReport,
  checkStore,
  collectGarbage,
  diskFs,
  initStore,
  listSnapshots,
  openReader,
  openStore,
  recordDamage,
  reindexStore,
  takeSnapshot,
  tombstone,
} from './mod.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-broken-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0

/** Two commits and a snapshot between them: packed and raw blocks, tagged and plain artifacts. */
const SMALL = Array.from({ length: 6 }, (_, i) => Buffer.from(`small ${i}`))
const LARGE = Buffer.alloc(700, 'large')
const LATER = Buffer.from('later')
const original = join(scratch, 'original')
const references: Reference[] = []
{
  const store = initStore(original, { domainId: 'broken', blockTargetBytes: 1024, smallMaxBytes: 512 })
  const first = store.openWriter()
  references.push(
    ...SMALL.map(bytes => first.put(bytes)),
    first.put(LARGE),
    first.put(Buffer.from('tree'), TREE.typeTag),
  )
  first.commit()
  takeSnapshot(store)
  const second = store.openWriter()
  references.push(second.put(LATER))
  second.commit()
  store.close()
}

function copyOfStore(): string {
  const root = join(scratch, String(count++))
  cpSync(original, root, { recursive: true })
  return root
}

function filesIn(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}

function check(root: string): CheckReport {
  return checkStore(diskFs, root)
}

function damageCodes(root: string): string[] {
  return check(root)
    .findings.filter(finding => finding.isDamage)
    .map(finding => finding.code)
}

function blockOf(root: string, content: string): string {
  const path = filesIn(root, 'blocks/sealed').find(file => readFileSync(file).includes(content))
  assert.ok(path !== undefined)
  return path
}

function overwrite(path: string, bytes: Uint8Array): void {
  chmodSync(path, 0o644)
  writeFileSync(path, bytes)
}

function heal(root: string, ...contents: Buffer[]): Reference[] {
  const store = openStore(root)
  const writer = store.openWriter()
  const healed = contents.map(bytes => writer.put(bytes))
  writer.commit()
  store.close()
  return healed
}

test('an unbroken store is clean', () => {
  assert.deepEqual(check(original).findings, [])
})

test('every single-bit flip in every file of a store is detected and names the file', () => {
  const fs = new SimulatedFs()
  const store = initStore('/store', { fs, domainId: 'bits', blockTargetBytes: 256, smallMaxBytes: 64 })
  for (const contents of [['one', 'two', 'x'.repeat(100)], ['three']]) {
    const writer = store.openWriter()
    for (const content of contents) writer.put(Buffer.from(content))
    writer.put(Buffer.from(contents.join()), TREE.typeTag)
    writer.commit()
    if (contents.length > 1) takeSnapshot(store)
  }
  store.close()
  assert.deepEqual(checkStore(fs, '/store').findings, [])
  let flips = 0
  for (const path of fs.files('/store')) {
    const fd = fs.open(path)
    const bytes = Buffer.alloc(fs.sizeOf(fd))
    fs.pread(fd, bytes, 0)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const at = bit >> 3
      fs.pwrite(fd, Buffer.from([bytes[at]! ^ (1 << (bit & 7))]), at)
      const { findings, isClean } = checkStore(fs, '/store')
      const isNamed = findings.some(finding => finding.isDamage && finding.path === path)
      assert.ok(!isClean && isNamed, `bit ${bit} of ${path} is not noticed`)
      fs.pwrite(fd, bytes.subarray(at, at + 1), at)
      flips++
    }
    fs.syncAll()
    fs.close(fd)
  }
  assert.deepEqual(checkStore(fs, '/store').findings, [])
  assert.ok(flips > 15_000, `only ${flips} bits were flipped`)
})

test('every truncation and removal of a file is detected and names the file', () => {
  for (const relativePath of ['meta', 'blocks', 'index', 'log', 'snapshots'].flatMap(folder =>
    filesIn(original, folder).map(path => relative(original, path)),
  )) {
    const root = copyOfStore()
    const path = join(root, relativePath)
    const { size } = statSync(path)
    chmodSync(path, 0o644)
    for (const kept of [size - 1, size >> 1, 0]) {
      truncateSync(path, kept)
      const { findings, isClean } = check(root)
      assert.ok(!isClean && findings.some(finding => finding.path === path), `${relativePath} cut to ${kept}`)
    }
    unlinkSync(path)
    if (relativePath === 'meta/store.json') assert.throws(() => check(root), { code: 'STORE_NOT_FOUND' })
    else
      assert.ok(
        check(root).findings.some(finding => finding.isDamage && finding.path === path),
        relativePath,
      )
  }
})

test('store-missing-block: the artifacts in it are named, others are read, and putting them again heals', () => {
  const root = copyOfStore()
  unlinkSync(blockOf(root, 'small 0'))
  const store = openStore(root)
  assert.throws(() => store.read(references[0]!), { code: 'STORE_BLOCK_MISSING' })
  assert.throws(() => [...store.chunks(references[0]!)], { code: 'STORE_BLOCK_MISSING' })
  assert.ok(store.read(references[6]!).equals(LARGE))
  store.close()
  const [finding] = check(root).findings
  assert.equal(finding?.code, 'STORE_BLOCK_MISSING')
  assert.deepEqual([...finding!.references].sort(), [...references.slice(0, 6), references[7]!].sort())
  heal(root, ...SMALL)
  const again = openStore(root)
  for (const [i, bytes] of SMALL.entries()) assert.ok(again.read(references[i]!).equals(bytes))
  again.close()
})

test('a raw block that is missing, or was found damaged, is written anew when its content is put again', () => {
  for (const how of ['missing', 'damaged'] as const) {
    const root = copyOfStore()
    const path = blockOf(root, 'largelarge')
    if (how === 'missing') unlinkSync(path)
    else {
      overwrite(path, Buffer.alloc(LARGE.length, 'LARGE'))
      const store = openStore(root)
      assert.throws(() => store.read(references[6]!), { code: 'STORE_INTEGRITY' })
      recordDamage(store, check(root))
      store.close()
    }
    assert.deepEqual(heal(root, LARGE), [references[6]])
    const store = openStore(root)
    assert.ok(store.read(references[6]!).equals(LARGE))
    recordDamage(store, check(root))
    store.close()
    assert.ok(check(root).isClean)
  }
})

test('block-shorter-than-its-extents: STORE_BLOCK_INVALID, and putting the content again heals', () => {
  const root = copyOfStore()
  const path = blockOf(root, 'small 0')
  chmodSync(path, 0o644)
  truncateSync(path, 20)
  const store = openStore(root)
  assert.throws(() => store.read(references[5]!), { code: 'STORE_BLOCK_INVALID' })
  store.close()
  heal(root, ...SMALL)
  const healed = openStore(root)
  assert.ok(healed.read(references[5]!).equals(SMALL[5]!))
  healed.close()
})

test('log-truncated: readers stop before the torn record, the next writer saves and cuts it', () => {
  const root = copyOfStore()
  const log = join(root, 'log/asl.log')
  const bytes = readFileSync(log)
  writeFileSync(log, bytes.subarray(0, bytes.length - 5))
  const store = openStore(root)
  assert.ok(store.has(references[0]!))
  assert.ok(!store.has(references[8]!), 'the second commit is gone with its record')
  assert.deepEqual(damageCodes(root), ['LOG_TAIL_TORN'])
  store.openWriter().abort()
  store.close()
  const saved = readdirSync(join(root, 'tmp')).filter(name => name.startsWith('log-tail-'))
  assert.equal(saved.length, 1)
  assert.ok(bytes.includes(readFileSync(join(root, 'tmp', saved[0]!))))
  assert.ok(check(root).isClean)
  assert.deepEqual(heal(root, LATER), [references[8]])
})

test('log-with-rubbish-behind: the same', () => {
  const root = copyOfStore()
  appendFileSync(join(root, 'log/asl.log'), Buffer.alloc(300, 0xa5))
  const store = openStore(root)
  assert.ok(store.has(references[8]!))
  store.openWriter().abort()
  store.close()
  assert.deepEqual(check(root).findings, [])
})

test('log-chain-broken: what lies before is read, nothing is written, and what is not found is not called absent', () => {
  const root = copyOfStore()
  const log = join(root, 'log/asl.log')
  const bytes = readFileSync(log)
  const inSecond = bytes.indexOf(Buffer.from([2, 0, 0, 0, 0, 0, 0, 0])) + 30
  bytes[inSecond]! ^= 1
  writeFileSync(log, bytes)
  const store = openStore(root)
  assert.throws(() => store.has(references[0]!), { code: 'LOG_CHAIN_BROKEN' })
  assert.throws(() => store.tryStat(references[0]!), { code: 'LOG_CHAIN_BROKEN' })
  assert.throws(() => [...store.references()], { code: 'LOG_CHAIN_BROKEN' })
  assert.throws(() => store.openWriter(), { code: 'LOG_CHAIN_BROKEN' })
  assert.throws(() => reindexStore(store), { code: 'LOG_CHAIN_BROKEN' })
  store.close()
  assert.ok(damageCodes(root).includes('LOG_CHAIN_BROKEN'))
  assert.ok(readFileSync(log).equals(bytes), 'it is never repaired')
})

test('a flipped bit in any record but the last is a broken chain and never a torn tail', () => {
  const fs = new SimulatedFs()
  const store = initStore('/store', { fs, domainId: 'bits' })
  for (const text of ['one', 'two']) {
    const writer = store.openWriter()
    writer.put(Buffer.from(text))
    writer.commit()
  }
  store.close()
  const fd = fs.open('/store/log/asl.log')
  const bytes = Buffer.alloc(fs.sizeOf(fd))
  fs.pread(fd, bytes, 0)
  const lastRecordAt = bytes.length - (16 + 40 + 32)
  for (let bit = 24 * 8; bit < lastRecordAt * 8; bit++) {
    const at = bit >> 3
    fs.pwrite(fd, Buffer.from([bytes[at]! ^ (1 << (bit & 7))]), at)
    const opened = openReader(fs, '/store')
    assert.equal(opened.damage[0]?.code, 'LOG_CHAIN_BROKEN', `bit ${bit}`)
    opened.close()
    const codes = checkStore(fs, '/store').findings.map(finding => finding.code)
    assert.ok(codes.includes('LOG_CHAIN_BROKEN') && !codes.includes('LOG_TAIL_TORN'), `bit ${bit}: ${codes}`)
    fs.pwrite(fd, bytes.subarray(at, at + 1), at)
  }
})

test('log-missing: the store opens for nothing', () => {
  const root = copyOfStore()
  unlinkSync(join(root, 'log/asl.log'))
  const store = openStore(root)
  assert.throws(() => store.read(references[0]!), { code: 'LOG_CHAIN_BROKEN' })
  assert.throws(() => store.openWriter(), { code: 'LOG_CHAIN_BROKEN' })
  store.close()
})

test('segment-missing, segment-damaged: the others answer, nothing is written, reindex makes it again to the byte', () => {
  for (const how of ['missing', 'damaged'] as const) {
    const root = copyOfStore()
    const path = join(root, 'index/shard-000/segment-0001.idx')
    const bytes = readFileSync(path)
    if (how === 'missing') unlinkSync(path)
    else overwrite(path, Buffer.concat([bytes.subarray(0, 150), Buffer.from([bytes[150]! ^ 4]), bytes.subarray(151)]))
    const code = how === 'missing' ? 'INDEX_SEGMENT_MISSING' : 'INDEX_SEGMENT_HASH'
    const store = openStore(root)
    assert.ok(store.read(references[8]!).equals(LATER))
    assert.throws(() => store.has(references[0]!), { code })
    assert.throws(() => store.openWriter(), { code })
    assert.deepEqual(reindexStore(store), { segmentCount: 2, rebuilt: [1] })
    store.close()
    assert.ok(readFileSync(path).equals(bytes))
    const again = openStore(root)
    assert.ok(again.read(references[0]!).equals(SMALL[0]!))
    again.close()
    assert.deepEqual(check(root).findings, [])
  }
})

test('index-deleted: reindex makes every segment again, also when gc has removed blocks since', () => {
  const root = copyOfStore()
  const store = openStore(root)
  tombstone(store, [references[6]!, references[0]!], 'operator')
  const gc = collectGarbage(store, { nowMs: 0, graceMs: 0, leastDeadShare: 0.01 })
  assert.equal(gc.removed.length, 2)
  assert.ok(gc.copiedBytes > 0)
  const answers = [...store.references()]
  store.close()
  const before = filesIn(root, 'index').map(path => readFileSync(path).toString('hex'))
  rmSync(join(root, 'index/shard-000'), { recursive: true })
  diskFs.mkdir(join(root, 'index/shard-000'))
  const lost = openStore(root)
  assert.equal(reindexStore(lost).rebuilt.length, 3)
  lost.close()
  assert.deepEqual(
    filesIn(root, 'index').map(path => readFileSync(path).toString('hex')),
    before,
  )
  const again = openStore(root)
  assert.deepEqual([...again.references()], answers)
  again.close()
  assert.deepEqual(check(root).findings, [])
})

test('segment-and-block-missing: reindex says which segment cannot be made', () => {
  const root = copyOfStore()
  unlinkSync(join(root, 'index/shard-000/segment-0001.idx'))
  unlinkSync(blockOf(root, 'small 0'))
  const store = openStore(root)
  assert.throws(() => reindexStore(store), { code: 'STORE_BLOCK_MISSING' })
  store.close()
})

test('snapshot-missing, snapshot-damaged: SNAPSHOT_INVALID names it', () => {
  for (const how of ['missing', 'damaged'] as const) {
    const root = copyOfStore()
    const path = join(root, 'snapshots/00000000/snapshot.cbor')
    if (how === 'missing') unlinkSync(path)
    else overwrite(path, Buffer.concat([readFileSync(path), Buffer.from([0])]))
    assert.deepEqual(damageCodes(root), ['SNAPSHOT_INVALID'])
  }
})

test('left-overs of a killed writer are notes, no damage, and go with the next writer or gc', () => {
  const root = copyOfStore()
  writeFileSync(join(root, 'blocks/open/blk_0.tmp'), 'half a block')
  writeFileSync(join(root, 'index/shard-000/segment-0003.idx'), 'a segment without a record')
  diskFs.mkdir(join(root, 'snapshots/00000001'))
  const orphan = 'ab'.repeat(32)
  diskFs.mkdir(join(root, 'blocks/sealed/ab'))
  writeFileSync(join(root, `blocks/sealed/ab/${orphan}.blk`), 'orphan')
  const report = check(root)
  assert.ok(report.isClean)
  assert.deepEqual(report.findings.map(finding => finding.code).sort(), [
    'BLOCK_OPEN',
    'BLOCK_ORPHAN',
    'SEGMENT_UNNAMED',
    'SNAPSHOT_UNNAMED',
  ])
  const store = openStore(root)
  store.openWriter().abort()
  assert.deepEqual(
    check(root).findings.map(finding => finding.code),
    ['BLOCK_ORPHAN'],
  )
  assert.deepEqual(collectGarbage(store, { nowMs: 0, graceMs: 10 }).waiting, [orphan])
  assert.deepEqual(collectGarbage(store, { nowMs: 9, graceMs: 10 }).removed, [])
  assert.deepEqual(collectGarbage(store, { nowMs: 10, graceMs: 10 }).removed, [orphan])
  assert.deepEqual(check(root).findings, [])
  assert.equal(listSnapshots(store).length, 1)
  store.close()
})

test('newer-format: STORE_UNSUPPORTED names the key, whatever else the file says', () => {
  for (const [key, value] of [
    ['version', 2],
    ['layout_revision', 2],
    ['hash_id', '0x0002'],
    ['encoding_profile', '0x0002'],
  ] as const) {
    const root = copyOfStore()
    const path = join(root, 'meta/store.json')
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    writeFileSync(path, JSON.stringify({ ...json, [key]: value, something: 'new' }))
    assert.throws(
      () => openStore(root),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'STORE_UNSUPPORTED')
        assert.match(error.message, new RegExp(key))
        return true
      },
    )
  }
})

test('no-store and half-a-store: STORE_NOT_FOUND, and a log without its store.json is never overwritten', () => {
  assert.throws(() => openStore(join(scratch, 'nowhere')), { code: 'STORE_NOT_FOUND' })
  const root = copyOfStore()
  renameSync(join(root, 'meta/store.json'), join(root, 'meta/elsewhere.json'))
  assert.throws(() => openStore(root), { code: 'STORE_NOT_FOUND' })
  assert.throws(() => initStore(root), { code: 'STORE_EXISTS' })
  assert.throws(() => initStore(original), { code: 'STORE_EXISTS' })
})

test('a store in a folder named .asl is found from the folder above it', () => {
  const project = join(scratch, 'project')
  initStore(join(project, '.asl')).close()
  const store = openStore(project)
  assert.equal(store.location, join(project, '.asl'))
  store.close()
})
