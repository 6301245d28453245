import assert from 'node:assert/strict'
import { test } from 'node:test'
import { paxMember, type TarMember, tarBytes } from '../../tests/fakes/archive-builder.ts'
import { isAslError } from '../core/mod.ts'
import { collectBytes, parseArchivePath, readTar, type TarEntry } from './mod.ts'

type Read = Omit<TarEntry, 'content'> & { readonly content: string }

/** Feeds the archive in pieces of `pieceSize`, so that no field lies whole in one piece. */
async function readAll(archive: Buffer, pieceSize = 97): Promise<Read[]> {
  const entries: Read[] = []
  for await (const entry of readTar(pieces(archive, pieceSize), 'a.tar')) {
    entries.push({ ...entry, content: (await collectBytes(entry.content, 1 << 20, 'content')).toString('latin1') })
  }
  return entries
}

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function refused(members: readonly TarMember[], code: 'ARCHIVE_HOSTILE' | 'FORMAT_INVALID', named?: string) {
  await assert.rejects(readAll(tarBytes(members)), error => {
    assert.ok(isAslError(error, code), String(error))
    if (named !== undefined) assert.ok(error.message.includes(named), error.message)
    return true
  })
}

test('readTar() reads every kind of member with all its metadata', async () => {
  const entries = await readAll(
    tarBytes([
      { path: './', flag: '5' },
      { path: './f', content: 'hello', mode: 0o4755, uid: 7, gid: 42, mtime: 1_600_000_000 },
      { path: './h', flag: '1', link: './f' },
      { path: './l', flag: '2', link: '/usr/bin/x' },
      { path: './c', flag: '3', rdev: [5, 1] },
      { path: './b', flag: '4', rdev: [8, 300] },
      { path: './p', flag: '6' },
      { path: './old/', flag: '\0' },
    ]),
  )
  assert.equal(entries.map(entry => entry.type).join(''), 'dfhlcbpd')
  const [, file, further, link, character, block] = entries
  assert.deepEqual([file?.mode, file?.uid, file?.gid, file?.mtime, file?.sizeBytes], [0o4755, 7, 42, 1_600_000_000, 5])
  assert.equal(file?.content, 'hello')
  assert.equal(further?.linkPath?.toString(), './f')
  assert.equal(link?.linkPath?.toString(), '/usr/bin/x')
  assert.deepEqual(character?.rdev, [5, 1])
  assert.deepEqual(block?.rdev, [8, 300])
})

test('readTar() skips content that nobody reads, and content read in part', async () => {
  const archive = tarBytes([
    { path: 'a', content: 'x'.repeat(3000) },
    { path: 'b', content: 'y'.repeat(3000) },
    { path: 'c', content: 'end' },
  ])
  const seen: string[] = []
  for await (const entry of readTar(pieces(archive, 500), 'a.tar')) {
    seen.push(entry.path.toString())
    if (entry.path.toString() === 'b') for await (const _ of entry.content) break
  }
  assert.deepEqual(seen, ['a', 'b', 'c'])
})

test('pax headers carry long paths, extended attributes as bytes, and apply to one member', async () => {
  const longPath = `deep/${'d'.repeat(200)}/f`
  const capability = Buffer.from('010000020004000000000000000000000000000a', 'hex')
  const [first, second] = await readAll(
    tarBytes([
      paxMember({
        path: longPath,
        'SCHILY.xattr.security.capability': capability,
        mtime: '1600000000.75',
        uid: '3000000',
      }),
      { path: 'short', content: 'x' },
      { path: 'plain' },
    ]),
  )
  assert.equal(first?.path.toString(), longPath)
  assert.deepEqual(first?.xattrs, [[Buffer.from('security.capability'), capability]])
  assert.deepEqual([first?.mtime, first?.uid], [1_600_000_000, 3_000_000])
  assert.equal(second?.path.toString(), 'plain')
  assert.deepEqual(second?.xattrs, [])
})

test('GNU long names and long links are read, as is a base-256 size', async () => {
  const path = 'n'.repeat(300)
  const rawSize = Buffer.from('800000000000000000000003', 'hex')
  const [link, file] = await readAll(
    tarBytes([
      { path: '././@LongLink', flag: 'L', content: `${path}\0` },
      { path: '././@LongLink', flag: 'K', content: `${'t'.repeat(150)}\0` },
      { path: 'cut', flag: '2', link: 'cut' },
      { path: 'f', content: 'abc', rawSize },
    ]),
  )
  assert.equal(link?.path.toString(), path)
  assert.equal(link?.linkPath?.toString(), 't'.repeat(150))
  assert.equal(file?.content, 'abc')
})

test('names need not be UTF-8', async () => {
  const [entry] = await readAll(tarBytes([{ path: Buffer.from('66ff0a67', 'hex') }]))
  assert.equal(entry?.path.toString('hex'), '66ff0a67')
})

test('a member that claims more than the archive holds is refused by name', async () => {
  await assert.rejects(readAll(tarBytes([{ path: 'liar', content: 'x', statedSize: 1e9 }])), error => {
    assert.ok(isAslError(error, 'ARCHIVE_HOSTILE'))
    assert.match(error.message, /"liar"/)
    return true
  })
})

test('sizes that are negative, no number, or on a folder are refused by name', async () => {
  await refused([{ path: 'n', rawSize: Buffer.from('ffffffffffffffffffffffff', 'hex') }], 'ARCHIVE_HOSTILE', '"n"')
  await refused([{ path: 'n', rawSize: Buffer.from('80ffffffffffffffffffffff', 'hex') }], 'ARCHIVE_HOSTILE', '"n"')
  await refused([{ path: 'n', rawSize: Buffer.from('12x4567      ') }], 'ARCHIVE_HOSTILE', '"n"')
  await refused([{ path: 'd', flag: '5', statedSize: 512 }], 'ARCHIVE_HOSTILE', '"d"')
  await refused([{ path: 'L', flag: 'L', statedSize: 2 ** 31 }], 'ARCHIVE_HOSTILE', '"L"')
})

test('a pax record whose length lies is refused', async () => {
  for (const content of [
    '99 path=x\n',
    '5 path=x\n',
    '0 a=b\n',
    'x',
    '10 path=abcd',
    '999999999999 a=b\n',
    '9 path=ab10 path=x\n',
  ]) {
    await refused([{ path: 'p', flag: 'x', content }, { path: 'f' }], 'ARCHIVE_HOSTILE', 'pax header')
  }
})

test('a wrong checksum, an unknown kind and a sparse file are not read', async () => {
  await refused([{ path: 'f', breakChecksum: true }], 'FORMAT_INVALID')
  await refused([{ path: 'f', flag: 'S' }], 'FORMAT_INVALID', '"S"')
  await refused([paxMember({ 'GNU.sparse.major': '1' }), { path: 'f' }], 'FORMAT_INVALID')
})

test('an archive cut inside a header is not read as if it ended there', async () => {
  const archive = tarBytes([{ path: 'a', content: 'x' }, { path: 'b' }])
  await assert.rejects(readAll(archive.subarray(0, 1024 + 100)), error => isAslError(error, 'FORMAT_INVALID'))
})

test('parseArchivePath() drops ./ and empty names and keeps the rest', () => {
  const names = (path: string) => parseArchivePath(Buffer.from(path), 'a').map(String)
  assert.deepEqual(names('./usr//bin/./x'), ['usr', 'bin', 'x'])
  assert.deepEqual(names('./'), [])
  assert.deepEqual(names('a/'), ['a'])
  assert.deepEqual(names('..a/b..'), ['..a', 'b..'])
})

test('parseArchivePath() refuses what could lie outside, by name', () => {
  for (const path of ['/etc/passwd', '../x', 'a/../../x', 'a/..', 'a\0b', `a/${'n'.repeat(256)}`]) {
    assert.throws(
      () => parseArchivePath(Buffer.from(path), 'evil.tar'),
      error => isAslError(error, 'ARCHIVE_HOSTILE') && error.message.startsWith('evil.tar: member "'),
      path,
    )
  }
})
