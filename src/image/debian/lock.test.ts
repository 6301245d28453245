import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAKE_BASE, fakeArchive } from '../../../tests/fakes/debian-archive.ts'
import { isAslError } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import {
  type DebianLock,
  diffLocks,
  encodeLock,
  expectationsOf,
  lockOf,
  openArchive,
  openKeyring,
  parseLock,
  resolvePackages,
} from './mod.ts'

async function lockFor(version: string): Promise<DebianLock> {
  const fake = await fakeArchive({
    packages: [{ name: 'alpha', version, fields: { Depends: 'beta' } }, { name: 'beta' }],
  })
  const archive = await openArchive({
    fetch: fake.fetchInto(memoryStore()),
    sources: [{ baseUrl: FAKE_BASE, suite: 'trixie', components: ['main'] }],
    architecture: 'amd64',
    keyring: await openKeyring([fake.publicKey]),
    nowSeconds: 0,
  })
  return lockOf(archive, resolvePackages(archive.packages, ['alpha']))
}

test('a lock survives encoding, and names digests, versions and paths, but no host', async () => {
  const lock = await lockFor('1.0-1')
  const bytes = encodeLock(lock)
  assert.deepEqual(parseLock(bytes), lock)
  assert.deepEqual(
    lock.packages.map(locked => locked.name),
    ['alpha', 'beta'],
  )
  assert.equal(lock.packages[0]?.url, '/debian/pool/main/a/alpha/alpha_1.0-1_amd64.deb')
  assert.equal(lock.suites[0]?.date, Date.UTC(2026, 8, 12, 7, 55, 41) / 1000)
  assert.doesNotMatch(bytes.toString(), /archive\.test/)
})

test('expectationsOf() knows every file of the lock by its path', async () => {
  const lock = await lockFor('1.0-1')
  const expected = expectationsOf(lock)
  assert.equal(expected.size, 4)
  assert.equal(expected.get('/debian/dists/trixie/InRelease')?.sha256, lock.suites[0]?.inRelease.sha256)
})

test('diffLocks() shows what came, went and changed', async () => {
  const [before, after] = [await lockFor('1.0-1'), await lockFor('1.0-2')]
  assert.deepEqual(diffLocks(before, after), [{ name: 'alpha', before: '1.0-1', after: '1.0-2' }])
  const fewer = { ...before, packages: before.packages.slice(1) }
  assert.deepEqual(diffLocks(before, fewer), [{ name: 'alpha', before: '1.0-1', after: undefined }])
  assert.deepEqual(diffLocks(before, before), [])
})

test('a lock with an unknown key, a host, a bad digest, a wrong order or odd bytes is refused where it is wrong', async () => {
  const text = encodeLock(await lockFor('1.0-1')).toString()
  const cases: [string, RegExp][] = [
    [text.replace('"kind":', '"kin":'), /\$\.kin is not known/],
    [text.replace('"v":1', '"v":2'), /revision 2/],
    [text.replace('"url":"/debian/pool', '"url":"http://host/debian/pool'), /\$\.packages\[0\]\.url is no path/],
    [text.replace('"name":"alpha"', '"name":"zeta"'), /\$\.packages\[1\]\.name is not in ascending order/],
    [text.replace(/"size_bytes":\d+/, '"size_bytes":-1'), /is no whole number/],
    [text.replace('"name":"alpha"', '"name":7'), /\$\.packages\[0\]\.name is no text/],
  ]
  for (const [broken, message] of cases) {
    assert.notEqual(broken, text)
    assert.throws(
      () => parseLock(Buffer.from(broken)),
      error => isAslError(error, 'RECORD_INVALID') && message.test(error.message),
      String(message),
    )
  }
  assert.throws(
    () => parseLock(Buffer.from(text.replace(',', ', '))),
    error => isAslError(error, 'JSON_NOT_CANONICAL'),
  )
  assert.throws(
    () => parseLock(Buffer.from(text.replace(/[0-9a-f]{64}/, 'x'.repeat(64)))),
    error => isAslError(error, 'REF_INVALID'),
  )
})
