import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { failure, SimulatedFs } from '../../tests/fakes/simulated-fs.ts'
import { type Reference, referenceOf, TREE } from '../core/mod.ts'
import {
  checkStore,
  collectGarbage,
  type DiskStore,
  diskFs,
  expireSnapshots,
  initStore,
  liftTombstone,
  listLog,
  listSnapshots,
  openReader,
  openStore,
  pinSnapshot,
  reachableFrom,
  readSnapshot,
  removeSnapshot,
  takeSnapshot,
  tombstone,
  unpinSnapshot,
} from './mod.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-disk-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0
const newStore = (options = {}): DiskStore => initStore(join(scratch, String(count++)), options)
const SMALL_BLOCKS = { blockTargetBytes: 1024, smallMaxBytes: 512 }

function put(store: DiskStore, ...contents: string[]): Reference[] {
  const writer = store.openWriter()
  const references = contents.map(text => writer.put(Buffer.from(text)))
  writer.commit()
  return references
}

/** Every path with its inode, size and time: unchanged means that nothing was written. */
function listing(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map(entry => {
      const path = join(entry.parentPath, entry.name)
      const { ino, size, mtimeMs } = statSync(path)
      return entry.isFile() ? `${path} ${ino} ${size} ${mtimeMs}` : path
    })
    .sort()
}

test('putting known content writes nothing at all', () => {
  const store = newStore()
  const large = join(scratch, 'large')
  writeFileSync(large, Buffer.alloc(3 << 20, 'large'))
  const first = store.openWriter()
  first.put(Buffer.from('small'))
  first.putFile(large)
  first.commit()
  const before = listing(store.location)
  const again = store.openWriter()
  again.put(Buffer.from('small'))
  again.putFile(large)
  again.put(Buffer.alloc(3 << 20, 'large'))
  again.commit()
  assert.deepEqual(listing(store.location), before)
  store.close()
})

test('a second writer of another opening is refused at once in the same process, and named', () => {
  const store = newStore()
  const other = openStore(store.location)
  const writer = store.openWriter()
  assert.throws(
    () => other.openWriter(),
    (error: Error & { code?: string; details?: { pid?: number } }) => {
      assert.equal(error.code, 'STORE_LOCKED')
      assert.equal(error.details?.pid, process.pid)
      return true
    },
  )
  writer.abort()
  other.openWriter().abort()
  store.close()
  other.close()
})

test('batches of one store stand side by side, and each commits by itself', () => {
  const store = newStore()
  const [one, two] = [store.openWriter(), store.openWriter()]
  const shared = one.put(Buffer.from('shared'))
  const ofOne = one.put(Buffer.from('of one'))
  two.put(Buffer.from('shared'))
  const ofTwo = two.put(Buffer.from('of two'))
  one.commit()
  assert.ok(store.has(shared) && store.has(ofOne) && !store.has(ofTwo))
  assert.throws(() => takeSnapshot(store), { code: 'STORE_LOCKED' }, 'what wants to be alone waits for the batch')
  two.commit()
  assert.ok(store.has(ofTwo))
  assert.ok(checkStore(diskFs, store.location).isClean)
  store.close()
})

test('the lock of a dead holder is taken over: another boot, a process that is gone, a torn file, our own number', () => {
  const store = newStore()
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const lock = store.paths.lock
  for (const content of [
    JSON.stringify({ pid: 1, boot_id: 'another boot', host: hostname() }),
    JSON.stringify({ pid: 4_194_304, boot_id: bootId, host: hostname() }),
    JSON.stringify({ pid: process.pid, boot_id: bootId, host: hostname() }),
    '{"pid":1,"boo',
    '',
  ]) {
    writeFileSync(lock, content)
    store.openWriter().abort()
    assert.deepEqual(readdirSync(store.paths.tmp), [], content)
  }
  store.close()
})

test('the lock of a living process that keeps no flock is respected', () => {
  const store = openStore(newStore().location, { lockWaitMs: 5 })
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  writeFileSync(store.paths.lock, JSON.stringify({ pid: 1, boot_id: bootId, host: 'here' }))
  assert.throws(() => store.openWriter(), {
    code: 'STORE_LOCKED',
    details: { pid: 1, host: 'here', path: store.paths.lock },
  })
  rmSync(store.paths.lock)
  store.openWriter().abort()
  store.close()
})

test('a batch that has ended takes nothing more, and one that was refused something goes on', () => {
  const store = newStore()
  const writer = store.openWriter()
  assert.throws(() => writer.putFile(join(scratch, 'nowhere')), { code: 'PATH_NOT_FOUND' })
  assert.throws(() => writer.putFile(scratch), { code: 'CAPTURE_FAILED' })
  assert.throws(() => writer.putFile('/proc/self/status'), { code: 'CAPTURE_FAILED' }, 'it has content, but no size')
  const reference = writer.put(Buffer.from('good'))
  writer.commit()
  assert.throws(() => writer.put(Buffer.from('late')), /after it has ended/)
  assert.deepEqual([...store.references()], [reference])
  store.close()
})

test('large content lies in a file of its own, named by its sha256, that others can use in place', () => {
  const store = newStore()
  const bytes = Buffer.alloc(2 << 20, 'iso')
  const writer = store.openWriter()
  const reference = writer.put(bytes)
  const packed = writer.put(Buffer.from('small'))
  writer.commit()
  const path = store.tryContentPath(reference)
  assert.ok(path !== undefined && readFileSync(path).equals(bytes))
  assert.equal(statSync(path).mode & 0o777, 0o444)
  assert.equal(store.tryContentPath(packed), undefined)
  store.close()
})

test('a tombstone hides, a lift brings back, and putting again does too', () => {
  const store = newStore()
  const [one, two] = put(store, 'one', 'two')
  tombstone(store, [one!], 'operator')
  assert.equal(store.has(one!), false)
  assert.throws(() => store.read(one!), { code: 'STORE_NOT_FOUND' })
  assert.deepEqual([...store.references()], [two])
  assert.throws(() => tombstone(store, [one!], 'operator'), { code: 'STORE_NOT_FOUND' })
  const other = openStore(store.location)
  assert.equal(other.has(one!), false, 'another opening sees it as well')
  other.close()
  liftTombstone(store, [one!])
  assert.equal(store.read(one!).toString(), 'one')
  assert.throws(() => liftTombstone(store, [one!]), { code: 'STORE_NOT_FOUND' })
  tombstone(store, [one!], 'superseded')
  assert.deepEqual(put(store, 'one'), [one])
  assert.equal(store.read(one!).toString(), 'one')
  assert.equal(listLog(store).at(-1)?.name, 'TOMBSTONE_LIFT', 'the log says so for other readers')
  store.close()
})

test('what policy or a lease has removed is not put again by the way', () => {
  for (const reason of ['policy', 'lease expired'] as const) {
    const store = newStore()
    const [one] = put(store, 'one')
    tombstone(store, [one!], reason)
    const writer = store.openWriter()
    assert.throws(() => writer.put(Buffer.from('one')), { code: 'STORE_TOMBSTONED' })
    const good = writer.put(Buffer.from('good'))
    writer.commit()
    assert.deepEqual([...store.references()], [good])
    store.close()
  }
})

test('a store opened at an earlier log record shows the state of then', () => {
  const store = newStore()
  const [one] = put(store, 'one')
  const then = store.state()
  const [two] = put(store, 'two')
  tombstone(store, [one!], 'operator')
  const earlier = openReader(diskFs, store.location, { logPrefix: then.logPosition })
  assert.deepEqual(earlier.state(), then)
  assert.deepEqual([...earlier.references()], [one])
  assert.equal(earlier.has(two!), false)
  store.close()
  earlier.close()
})

test('snapshots count from 0, name the one before, and are read back as the log anchors them', () => {
  const store = newStore()
  put(store, 'one')
  const first = takeSnapshot(store)
  put(store, 'two')
  const second = takeSnapshot(store, { pin: ' because ', policyRef: referenceOf('policy') })
  assert.deepEqual(listSnapshots(store), [first, second])
  assert.deepEqual([first.snapshotId, first.pin, second.snapshotId, second.pin], [0, undefined, 1, 'because'])
  assert.deepEqual(readSnapshot(store, 1).previous, { snapshotId: 0, rootHash: first.rootHash })
  assert.equal(readSnapshot(store, 1).logPrefix, second.logPrefix)
  assert.equal(readSnapshot(store, 0).previous, undefined)
  assert.throws(() => readSnapshot(store, 2), { code: 'SNAPSHOT_NOT_FOUND' })
  assert.throws(() => takeSnapshot(store, { pin: 'two\nlines' }), { code: 'REQUEST_INVALID' })
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  store.close()
})

test('retention removes what is old, neither pinned nor the newest', () => {
  const store = newStore()
  for (const text of ['a', 'b', 'c', 'd']) {
    put(store, text)
    takeSnapshot(store, text === 'b' ? { pin: 'keep' } : {})
  }
  const nowMs = Date.now() + 1000
  assert.deepEqual(expireSnapshots(store, 3_600_000, nowMs), [])
  assert.deepEqual(expireSnapshots(store, 0, nowMs), [0, 2])
  assert.deepEqual(
    listSnapshots(store).map(({ snapshotId }) => snapshotId),
    [1, 3],
  )
  assert.throws(() => removeSnapshot(store, 1), { code: 'REQUEST_INVALID' })
  assert.throws(() => removeSnapshot(store, 3), { code: 'REQUEST_INVALID' })
  assert.throws(() => removeSnapshot(store, 0), { code: 'SNAPSHOT_NOT_FOUND' })
  unpinSnapshot(store, 1)
  removeSnapshot(store, 1)
  assert.equal(takeSnapshot(store).snapshotId, 4, 'a number is never given twice')
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  store.close()
})

test('gc keeps what a pinned snapshot holds, and takes it when the pin is gone', () => {
  const store = newStore(SMALL_BLOCKS)
  const [one] = put(store, 'x'.repeat(900))
  takeSnapshot(store, { pin: 'why' })
  const [two] = put(store, 'y'.repeat(900))
  tombstone(store, [one!, two!], 'operator')
  const gc = (nowMs = 0): ReturnType<typeof collectGarbage> => collectGarbage(store, { nowMs, graceMs: 0 })
  assert.equal(gc().removed.length, 1)
  const view = openReader(diskFs, store.location, { logPrefix: listSnapshots(store)[0]!.logPrefix })
  assert.equal(view.read(one!).length, 900)
  view.close()
  unpinSnapshot(store, 0)
  assert.equal(gc().removed.length, 1)
  assert.equal(gc().removed.length, 0)
  pinSnapshot(store, 0, 'too late')
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  store.close()
})

test('gc copies what is alive out of a block that is mostly dead, and a reader that was open before still reads it', () => {
  const store = newStore(SMALL_BLOCKS)
  const contents = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(100))
  const references = put(store, ...contents)
  const reader = openStore(store.location)
  assert.equal(reader.read(references[7]!).toString(), contents[7])
  tombstone(store, references.slice(0, 6), 'operator')
  const waiting = collectGarbage(store, { nowMs: 1000, graceMs: 500 })
  assert.deepEqual([waiting.removed.length, waiting.waiting.length], [0, 1])
  const { removed, copiedBytes, freedBytes } = collectGarbage(store, { nowMs: 1500, graceMs: 500 })
  assert.deepEqual([removed.length, copiedBytes, freedBytes], [1, 218, 872])
  for (const i of [6, 7]) {
    assert.equal(store.read(references[i]!).toString(), contents[i])
    assert.equal(
      reader.read(references[i]!).toString(),
      contents[i],
      'through the file that it has open, or the new one',
    )
  }
  const late = openReader(diskFs, store.location)
  assert.equal(late.read(references[6]!).toString(), contents[6])
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  for (const opened of [store, reader, late]) opened.close()
})

test('gc keeps a dead block that the survivors of another one fill again', () => {
  const store = newStore({ blockTargetBytes: 4096, smallMaxBytes: 512 })
  const contents = ['a', 'b'].map(letter => letter.repeat(300))
  contents.sort((a, b) => (referenceOf(a) < referenceOf(b) ? -1 : 1)) // the order in which survivors are copied
  const kept = put(store, ...contents)
  const [firstBlock] = checkStore(diskFs, store.location).findings.length === 0 ? blockIds(store) : []
  writeFileSync(store.paths.damagedBlocks, `${firstBlock}\n`) // so that the same content is written anew beside it
  const [, , ...dead] = put(store, ...contents, 'c'.repeat(500), 'd'.repeat(500), 'e'.repeat(500))
  rmSync(store.paths.damagedBlocks)
  assert.equal(blockIds(store).length, 2)
  tombstone(store, dead, 'operator')
  collectGarbage(store, { nowMs: 0, graceMs: 0 })
  assert.deepEqual(blockIds(store), [firstBlock])
  for (const [i, reference] of kept.entries()) assert.equal(store.read(reference).toString(), contents[i])
  assert.deepEqual(checkStore(diskFs, store.location).findings, [])
  store.close()
})

function blockIds(store: DiskStore): string[] {
  const names = readdirSync(store.paths.sealedBlocks, { recursive: true }).map(String)
  return names.flatMap(name => /([0-9a-f]{64})\.blk$/.exec(name)?.[1] ?? []).sort()
}

test('a commit that is cut off before its lifts is visible all the same', () => {
  const fs = new SimulatedFs()
  const store = initStore('/store', { fs })
  const [one] = put(store, 'one')
  tombstone(store, [one!], 'operator')
  let appends = 0
  fs.onChange = ({ name, path }) => {
    if (name === 'pwrite' && path.includes('asl.log') && ++appends === 3) throw failure('EIO', 'pwrite', path)
  }
  assert.throws(() => put(store, 'one'), { code: 'STORE_IO' })
  fs.onChange = () => {}
  const again = openReader(fs, '/store')
  assert.equal(again.read(one!).toString(), 'one')
  assert.ok(checkStore(fs, '/store').isClean)
  assert.equal(checkStore(fs, '/store').artifactCount, 1)
  again.close()
})

test('a reader that has not opened the block yet finds what gc has moved', () => {
  const store = newStore(SMALL_BLOCKS)
  const references = put(store, ...Array.from({ length: 8 }, (_, i) => `${i}`.repeat(100)))
  const reader = openStore(store.location)
  tombstone(store, references.slice(0, 6), 'operator')
  collectGarbage(store, { nowMs: 0, graceMs: 0 })
  assert.equal(reader.read(references[7]!).toString(), '7'.repeat(100))
  assert.equal(Buffer.concat([...reader.chunks(references[6]!)]).toString(), '6'.repeat(100))
  store.close()
  reader.close()
})

test('reachableFrom follows trees to the last file, each once, and names what is missing', () => {
  const store = newStore()
  const writer = store.openWriter()
  const content = writer.put(Buffer.from('content'))
  const file = (name: string, ref: Reference, size: number) => ({
    name: Buffer.from(name),
    type: 'f' as const,
    mode: 0o644,
    ref,
    size,
  })
  const inner = writer.put(TREE.encode({ entries: [file('a', content, 7), file('b', content, 7)] }), TREE.typeTag)
  const folder = { name: Buffer.from('d'), type: 'd' as const, mode: 0o755, ref: inner }
  const top = writer.put(TREE.encode({ entries: [folder, file('e', content, 7)] }), TREE.typeTag)
  const missing = referenceOf('missing')
  const broken = writer.put(TREE.encode({ entries: [file('m', missing, 7)] }), TREE.typeTag)
  writer.commit()
  assert.deepEqual(
    new Set([...reachableFrom(store, [top])].map(({ reference }) => reference)),
    new Set([top, inner, content]),
  )
  assert.throws(
    () => [...reachableFrom(store, [broken])],
    (error: Error) => error.message.includes(missing),
  )
  store.close()
})

test('an interrupted init-store is finished by the next one', () => {
  const root = join(scratch, 'half')
  mkdirSync(join(root, 'log'), { recursive: true })
  writeFileSync(join(root, 'log/asl.log.tmp'), 'half')
  const store = initStore(root, { withViews: true })
  put(store, 'x')
  store.close()
  assert.deepEqual(
    ['binaries', 'scripts', 'per', 'runs'].filter(name => !statSync(join(root, name)).isDirectory()),
    [],
  )
  assert.ok(checkStore(diskFs, root).isClean)
})
