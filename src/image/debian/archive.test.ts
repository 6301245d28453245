import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  FAKE_BASE,
  FAKE_DATE,
  type FakeArchiveOptions,
  fakeArchive,
  fakeKey,
  signed,
} from '../../../tests/fakes/debian-archive.ts'
import { isAslError } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import { type Archive, openArchive, openKeyring, packageIndex, readPackages, verifyClearsigned } from './mod.ts'

const SOURCE = { baseUrl: FAKE_BASE, suite: 'trixie', components: ['main'] }
const NOW = FAKE_DATE.getTime() / 1000

async function fake(options: Partial<FakeArchiveOptions> = {}) {
  const archive = await fakeArchive({ packages: [{ name: 'alpha' }, { name: 'beta' }], ...options })
  const open = async (more: object = {}): Promise<Archive> =>
    openArchive({
      fetch: archive.fetchInto(memoryStore()),
      sources: [SOURCE],
      architecture: 'amd64',
      keyring: await openKeyring([archive.publicKey]),
      nowSeconds: NOW,
      ...more,
    })
  return { ...archive, open }
}

test('openArchive() follows key → InRelease → Packages → .deb, by hash', async () => {
  const archive = await fake()
  const opened = await archive.open()
  assert.deepEqual([...opened.packages.names()], ['alpha', 'beta'])
  assert.equal(opened.suites[0]?.signers[0]?.signedAt, NOW)
  assert.match(archive.requests[1] ?? '', /\/main\/binary-amd64\/by-hash\/SHA256\/[0-9a-f]{64}$/)
  const [alpha] = opened.packages.versionsOf('alpha')
  const deb = await opened.fetchPackage(alpha!)
  assert.equal(deb.sizeBytes, alpha?.sizeBytes)
  assert.deepEqual(opened.findings, [])
})

test('a release signed by a key that is not trusted is refused', async () => {
  const archive = await fake()
  const other = await openKeyring([(await fakeKey()).toPublic().armor()])
  await assert.rejects(archive.open({ keyring: other }), error => isAslError(error, 'SIG_INVALID'))
})

test('one good signature among those of unknown keys is enough', async () => {
  const [known, unknown] = [await fakeKey(), await fakeKey()]
  const { createCleartextMessage, sign } = await import('openpgp')
  const message = await createCleartextMessage({ text: 'Suite: stable\n' })
  const text = await sign({ message, signingKeys: [unknown, known], date: FAKE_DATE })
  const keyring = await openKeyring([known.toPublic().armor()])
  const verified = await verifyClearsigned(Buffer.from(text), keyring, 'InRelease')
  assert.deepEqual(
    verified.signers.map(signer => signer.fingerprint),
    [known.getFingerprint().toUpperCase()],
  )
})

test('a changed release is refused, and text outside the signed part is never looked at', async () => {
  const key = await fakeKey()
  const keyring = await openKeyring([key.toPublic().armor()])
  const good = await signed('Suite: stable\n', key)
  const verify = (text: string) => verifyClearsigned(Buffer.from(text), keyring, 'InRelease')
  assert.equal((await verify(good)).text, 'Suite: stable\n')
  for (const bad of [
    good.replace('stable', 'unstable'),
    good.replace(/-----BEGIN PGP SIGNATURE[\s\S]*/, ''),
    'Suite: stable\n',
    '',
  ]) {
    await assert.rejects(verify(bad), error => isAslError(error, 'SIG_INVALID'), JSON.stringify(bad.slice(0, 60)))
  }
  for (const around of [`Suite: evil\n${good}`, `${good}\nSuite: evil\n`]) {
    const result = await verify(around).catch((error: unknown) => error)
    if (isAslError(result)) assert.equal(result.code, 'SIG_INVALID')
    else assert.deepEqual((result as { text: string }).text, 'Suite: stable\n')
  }
})

test('a signature made after its key had expired is refused; the time of checking does not matter', async () => {
  const { generateKey, reformatKey, createCleartextMessage, sign } = await import('openpgp')
  const made = new Date('2020-01-01T00:00:00Z')
  const userIDs = [{ name: 'x' }]
  const { privateKey } = await generateKey({ userIDs, date: made, format: 'object' })
  const expiring = await reformatKey({ privateKey, userIDs, date: made, keyExpirationTime: 86_400, format: 'object' })
  const keyring = await openKeyring([expiring.publicKey.armor()])
  const message = await createCleartextMessage({ text: 'x\n' })
  const verify = async (date: string) => {
    const text = await sign({ message, signingKeys: privateKey, date: new Date(date) })
    return verifyClearsigned(Buffer.from(text), keyring, 'InRelease')
  }
  assert.equal((await verify('2020-01-01T12:00:00Z')).signers.length, 1)
  await assert.rejects(verify('2020-01-03T00:00:00Z'), error => isAslError(error, 'SIG_INVALID'))
})

test('a package or an index that is not what the signed list says is a digest mismatch', async () => {
  for (const part of ['by-hash', '.deb']) {
    const archive = await fake()
    const [url, content] = [...archive.files].find(([key]) => key.includes(part))!
    const changed = Buffer.from(content)
    changed[20] = changed[20]! ^ 1
    archive.files.set(url, changed)
    const get = async () => {
      const opened = await archive.open()
      return opened.fetchPackage(opened.packages.versionsOf('alpha')[0]!)
    }
    await assert.rejects(get(), error => isAslError(error, 'DIGEST_MISMATCH') && error.message.includes(url))
  }
})

test('a suite, component or architecture that is not there is named, with what is there', async () => {
  const archive = await fake()
  const cases: [object, RegExp][] = [
    [{ sources: [{ ...SOURCE, suite: 'trixy' }] }, /no suite "trixy"/],
    [{ sources: [{ ...SOURCE, components: ['mian'] }] }, /component "mian"/],
    [{ architecture: 'arm64' }, /no packages for arm64/],
  ]
  for (const [more, message] of cases) {
    await assert.rejects(
      archive.open(more),
      error => isAslError(error, 'PATH_NOT_FOUND') && message.test(error.message),
    )
  }
})

test('a package that the index lists and the mirror lacks is not found, by URL', async () => {
  const archive = await fake()
  const opened = await archive.open()
  for (const url of [...archive.files.keys()]) if (url.endsWith('.deb')) archive.files.delete(url)
  const [alpha] = opened.packages.versionsOf('alpha')
  await assert.rejects(opened.fetchPackage(alpha!), error => isAslError(error, 'PACKAGE_NOT_FOUND'))
})

test('another suite served under the name of this one is refused, though it is signed', async () => {
  const archive = await fake({ release: { Codename: 'bookworm', Suite: 'oldstable' } })
  await assert.rejects(
    archive.open(),
    error => isAslError(error, 'SIG_INVALID') && /for suite "oldstable"/.test(error.message),
  )
})

test('an expired Valid-Until is a finding with both times, no error', async () => {
  const archive = await fake({ release: { 'Valid-Until': 'Sun, 13 Sep 2026 00:00:00 UTC' } })
  assert.deepEqual((await archive.open()).findings, [])
  const { findings } = await archive.open({ nowSeconds: NOW + 86_400 })
  assert.deepEqual(
    findings.map(({ code, suite, nowSeconds }) => [code, suite, nowSeconds]),
    [['ARCHIVE_EXPIRED', 'trixie', NOW + 86_400]],
  )
})

test('a file name in the index that would leave the archive is refused', async () => {
  for (const Filename of ['../../etc/x.deb', '/abs.deb', 'pool/../x.deb', 'pool//x', 'pool/x y.deb', 'pool/x?y']) {
    const stanza = `Package: a\nVersion: 1\nArchitecture: amd64\nFilename: ${Filename}\nSize: 1\nSHA256: ${'0'.repeat(64)}\n`
    const origin = { baseUrl: FAKE_BASE, suite: 'trixie', component: 'main' }
    const index = packageIndex([await readPackages([Buffer.from(stanza)], 'Packages', origin)])
    assert.throws(
      () => index.versionsOf('a'),
      error => isAslError(error, 'FORMAT_INVALID'),
      Filename,
    )
  }
})
