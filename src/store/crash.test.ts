/** What a power cut may leave after every change that the store makes to its files, and what the next opening makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Call, failure, randomNumbers, SimulatedFs } from '../../tests/fakes/simulated-fs.ts'
import { isAslError, type Reference, TREE, type TypeTag } from '../core/mod.ts'
import { checkStore } from './check/check.ts'
import { DiskStore } from './disk-store.ts'
import { collectGarbage } from './gc.ts'
import { initStore } from './open-store.ts'
import { reindexStore } from './reindex.ts'
import { pinSnapshot, removeSnapshot, takeSnapshot, unpinSnapshot } from './snapshots.ts'
import { tombstone } from './tombstones.ts'

const ROOT = '/store'
/** Ways of one crash that are looked at; every change is a crash point. */
const CRASHES_PER_POINT = Number(process.env.ASL_CRASH_SAMPLES ?? 12)

interface Content {
  readonly bytes: Buffer
  readonly typeTag: TypeTag | undefined
}

/** What was promised so far, as the store told it. */
class Promises {
  readonly known = new Map<Reference, Content>()
  /** Acknowledged and not taken back. */
  readonly readable = new Set<Reference>()
  /** The batch that is being committed: all of it or nothing. */
  batch: Reference[] = []
  /** May be there or not: being hidden or brought back. */
  readonly open = new Set<Reference>()
}

function put(store: DiskStore, promises: Promises, contents: readonly (readonly [string, TypeTag?])[]): void {
  const writer = store.openWriter()
  try {
    const references = contents.map(([text, typeTag]) => {
      const bytes = Buffer.from(text)
      const reference = writer.put(bytes, typeTag)
      promises.known.set(reference, { bytes, typeTag })
      return reference
    })
    promises.batch = references.filter(reference => !promises.readable.has(reference))
    writer.commit()
    for (const reference of references) promises.readable.add(reference)
    promises.batch = []
  } finally {
    writer.abort()
  }
}

const SMALL = Array.from({ length: 12 }, (_, i) => [`small content ${i} ${'x'.repeat(i * 20)}`] as const)
const LARGE = [['L'.repeat(700)], ['M'.repeat(900)], ['T'.repeat(1500), TREE.typeTag]] as const

/** A life of a store in which every kind of change occurs. */
const WORK: readonly ((store: DiskStore, promises: Promises) => void)[] = [
  (store, promises) => put(store, promises, [...SMALL.slice(0, 5), ...LARGE.slice(0, 2)]),
  (store, promises) => put(store, promises, [...SMALL.slice(3, 9), ['a tree', TREE.typeTag]]),
  store => void takeSnapshot(store, { pin: 'the first' }),
  (store, promises) => put(store, promises, [...SMALL.slice(8), ...LARGE]),
  (store, promises) => {
    const victims = [...promises.readable].filter((_, i) => i % 3 === 0)
    for (const reference of victims) {
      promises.open.add(reference)
      promises.readable.delete(reference)
    }
    tombstone(store, victims, 'operator')
  },
  store => void takeSnapshot(store),
  store => void collectGarbage(store, { nowMs: 0, graceMs: 0, leastDeadShare: 0.1 }),
  store => unpinSnapshot(store, 0),
  store => void collectGarbage(store, { nowMs: 0, graceMs: 0, leastDeadShare: 0.1 }),
  (store, promises) => put(store, promises, [...SMALL, ['again']]),
  store => void takeSnapshot(store),
  store => pinSnapshot(store, 2, 'kept'),
  store => removeSnapshot(store, 1),
]

function makeStore(): SimulatedFs {
  const fs = new SimulatedFs()
  initStore(ROOT, { fs, domainId: 'crash', blockTargetBytes: 1024, smallMaxBytes: 512 }).close()
  fs.syncAll()
  return fs
}

/** Recovers and checks; the second half of the sentence says where it went wrong. */
function verify(fs: SimulatedFs, promises: Promises, where: string): void {
  const store = new DiskStore(ROOT, fs, fs)
  assert.deepEqual(store.damage, [], `${where}: the store is damaged`)
  store.openWriter().abort()
  for (const reference of promises.readable) {
    assert.ok(store.has(reference), `${where}: ${reference} was acknowledged and is gone`)
    assert.ok(store.read(reference).equals(promises.known.get(reference)!.bytes), where)
  }
  const present = promises.batch.filter(reference => !promises.open.has(reference) && store.has(reference))
  const wanted = promises.batch.filter(reference => !promises.open.has(reference))
  assert.ok(present.length === 0 || present.length === wanted.length, `${where}: half a batch is visible`)
  for (const reference of store.references()) {
    assert.ok(store.read(reference).equals(promises.known.get(reference)!.bytes), where)
  }
  const report = checkStore(fs, ROOT)
  assert.deepEqual(
    report.findings.filter(finding => finding.isDamage),
    [],
    `${where}: check finds damage`,
  )
  const answers = [...store.references()]
  const state = store.state()
  store.close()

  const before = fs.dump()
  const again = new DiskStore(ROOT, fs, fs)
  again.openWriter().abort()
  assert.equal(fs.dump(), before, `${where}: a second recovery changes something`)
  for (const name of fs.readdir(`${ROOT}/index/shard-000`)) fs.unlink(`${ROOT}/index/shard-000/${name}`)
  again.close()
  const lost = new DiskStore(ROOT, fs, fs)
  reindexStore(lost)
  lost.close()
  const rebuilt = new DiskStore(ROOT, fs, fs)
  assert.deepEqual(rebuilt.damage, [], `${where}: the rebuilt index is damaged`)
  assert.deepEqual([...rebuilt.references()], answers, `${where}: the rebuilt index answers otherwise`)
  assert.deepEqual(rebuilt.state(), state)
  rebuilt.close()
}

test('a power cut after any change leaves what was acknowledged, and no half of anything', () => {
  const fs = makeStore()
  const store = new DiskStore(ROOT, fs, fs)
  const promises = new Promises()
  const seen = new Set<string>()
  let crashCount = 0
  fs.onChange = call => {
    for (const crash of fs.crashes(CRASHES_PER_POINT, call.number)) {
      const state = crash.dump()
      if (seen.has(state)) continue
      seen.add(state)
      crashCount++
      verify(crash, promises, `crash ${crashCount} before change ${call.number} (${call.name} ${call.path})`)
    }
  }
  for (const step of WORK) step(store, promises)
  store.close()
  fs.onChange = () => {}
  verify(fs, promises, 'at the end')
  assert.ok(crashCount > 300, `only ${crashCount} crashes were made`)
})

for (const code of ['EIO', 'ENOSPC'] as const) {
  test(`${code} from any change fails that operation alone, and a power cut afterwards costs nothing acknowledged`, () => {
    const random = randomNumbers(7)
    for (let number = 1; ; number++) {
      const fs = makeStore()
      const store = new DiskStore(ROOT, fs, fs)
      const promises = new Promises()
      const start = fs.changes
      let failed: Call | undefined
      fs.onChange = call => {
        if (call.number - start !== number) return
        failed = call
        throw failure(code, call.name, call.path)
      }
      let error: unknown
      try {
        for (const step of WORK) step(store, promises)
      } catch (thrown) {
        error = thrown
      }
      if (failed === undefined) {
        assert.ok(number > 100, 'the work makes more changes than this')
        return
      }
      const where = `${code} at change ${number} (${failed.name} ${failed.path})`
      fs.onChange = () => {}
      if (error !== undefined)
        assert.ok(isAslError(error, code === 'EIO' ? 'STORE_IO' : 'DISK_FULL'), `${where}: ${String(error)}`)
      for (const crash of fs.crashes(3, random(1 << 30))) verify(crash, promises, where)
      // The same process goes on with the same store, and loses nothing either.
      put(store, promises, [['after the failure']])
      store.close()
      verify(fs, promises, `${where}, and going on`)
    }
  })
}
