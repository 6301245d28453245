import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { sha256 } from '../core/mod.ts'
import { collectBytes } from './byte-reader.ts'
import { bufferSource } from './byte-source.ts'
import { encodeCpioHeader } from './cpio-header.ts'
import { type CpioEntry, readCpio } from './cpio-read.ts'
import { type CpioMember, writeCpio } from './cpio-write.ts'

const EPOCH = 1_750_000_000

test('writeCpio() and readCpio() agree on every kind of member', async () => {
  const rows = await read(archive(SAMPLE))
  assert.deepEqual(
    rows.map(row => [row.path, row.type, row.mode.toString(8), row.text, row.more]),
    [
      ['', 'd', '755', '', ''],
      ['bin', 'd', '755', '', ''],
      ['bin/tool', 'f', '4755', '', ''],
      ['bin/other', 'f', '4755', 'machine code', 'link to bin/tool'],
      ['dev', 'd', '755', '', ''],
      ['dev/null', 'c', '666', '', '1,3'],
      ['init', 'l', '777', '', 'to bin/tool'],
      ['empty', 'f', '600', '', ''],
    ],
  )
  assert.ok(rows.every(row => row.mtime === EPOCH))
})

test('writeCpio() gives the same bytes for the same members, a multiple of 512', () => {
  const bytes = archive(SAMPLE)
  assert.equal(bytes.length % 512, 0)
  assert.equal(sha256(bytes), '6fd25e05760d96c26bd4b4c8b82972a1b2c22bad082f50eff372a8a65af76966')
})

test('writeCpio() refuses what would not arrive: paths that climb, twice, or without their folder; wrong sizes', () => {
  const file = (path: string, more: Partial<CpioMember> = {}): CpioMember => ({
    path: Buffer.from(path),
    type: 'f',
    mode: 0o644,
    ...more,
  })
  for (const [members, message] of [
    [[file('../x')], /not clean/],
    [[file('/x')], /not clean/],
    [[file('a//b')], /not clean/],
    [[file('a'), file('a')], /comes twice/],
    [[file('a/b')], /folder does not come before it/],
    [[file('a'), file('a/b')], /folder does not come before it/],
    [[file('TRAILER!!!')], /ends an archive/],
    [[file('a', { sizeBytes: 2, content: [Buffer.from('x')] })], /shorter than 2/],
    [[file('a', { sizeBytes: 0, content: [Buffer.from('x')] })], /longer than 0/],
    [[file('a', { linkTo: Buffer.from('b') })], /no earlier file/],
    [[file('a', { mode: 0o10000 })], /mode/],
    [[file('a', { type: 'l' })], /target/],
    [[file('a', { type: 'c' })], /device number/],
  ] as const) {
    assert.throws(() => archive(members), { code: 'ARCHIVE_HOSTILE', message })
  }
  assert.throws(() => archive([file('a', { uid: 2 ** 32 })]), { code: 'LIMIT_EXCEEDED' })
})

test('readCpio() reads parts of any compression one after the other, with zeros between them', async () => {
  const one = (name: string): Buffer => archive([{ path: Buffer.from(name), type: 'f', mode: 0o644 }])
  const whole = Buffer.concat([
    one('plain'),
    gzipSync(one('gzip')),
    Buffer.alloc(3),
    zstdCompressSync(one('zstd')),
    zstdCompressSync(Buffer.concat([one('two'), Buffer.alloc(512), one('three')])),
    gzipSync(one('tail')),
    Buffer.alloc(1000),
  ])
  const rows = await read(whole)
  assert.deepEqual(
    rows.map(row => [row.part, row.path]),
    [
      [0, 'plain'],
      [1, 'gzip'],
      [2, 'zstd'],
      [3, 'two'],
      [3, 'three'],
      [4, 'tail'],
    ],
  )
})

test('a later part replaces a file by a file, and nothing else by anything else', async () => {
  const one = (path: string, type: 'f' | 'd' | 'l'): Buffer => {
    const parts = path.split('/')
    const folders = parts.slice(0, -1).map((_, i) => member(parts.slice(0, i + 1).join('/'), 0o040755))
    const own = type === 'f' ? 0o100644 : type === 'd' ? 0o040755 : 0o120777
    return Buffer.concat([...folders, member(path, own, type === 'l' ? '/etc' : ''), member('TRAILER!!!', 0)])
  }
  assert.equal((await read(Buffer.concat([one('a', 'f'), one('a', 'f')]))).length, 2)
  for (const [first, second] of [
    [one('a', 'f'), one('a', 'd')],
    [one('a', 'd'), one('a', 'l')],
    [one('a', 'l'), one('a/passwd', 'f')],
  ] as const) {
    await refuses(Buffer.concat([first, second]), 'ARCHIVE_HOSTILE', /was of type/)
  }
  const through = Buffer.concat([
    member('a', 0o120777, '/etc'),
    member('a/passwd', 0o100644, 'x'),
    member('TRAILER!!!', 0),
  ])
  await refuses(through, 'ARCHIVE_HOSTILE', /leads through a l/)
})

test('members that lie are refused', async () => {
  const end = member('TRAILER!!!', 0)
  for (const [bytes, code, message] of [
    [member('/etc/passwd', 0o100644), 'ARCHIVE_HOSTILE', /absolute/],
    [member('a/../../b', 0o100644), 'ARCHIVE_HOSTILE', /not a name/],
    [member('ok', 0o100644), 'FORMAT_INVALID', /there is no TRAILER/],
    [Buffer.concat([member('ok', 0o170000), end]), 'ARCHIVE_HOSTILE', /file type/],
    [Buffer.concat([member('ok', 0o040755, 'content'), end]), 'ARCHIVE_HOSTILE', /no file, but claims 7/],
    [Buffer.concat([member('ok', 0o120777), end]), 'ARCHIVE_HOSTILE', /target has 0/],
    [lie(member('ok', 0o100644), 6, 'ffffffff'), 'ARCHIVE_HOSTILE', /ends/],
    [lie(member('ok', 0o100644), 6, '-0000001'), 'ARCHIVE_HOSTILE', /hexadecimal/],
    [lie(member('ok', 0o100644), 11, 'ffffffff'), 'ARCHIVE_HOSTILE', /name of 4294967295/],
    [lie(member('ok', 0o100644), 11, '00000001'), 'ARCHIVE_HOSTILE', /name of 1/],
    [lie(member('longer', 0o100644), 11, '00000005'), 'ARCHIVE_HOSTILE', /does not end/],
    [Buffer.concat([Buffer.alloc(2), archive([])]), 'FORMAT_INVALID', /multiple of 4/],
    [Buffer.from('070707 old binary or odc'.padEnd(200)), 'FORMAT_INVALID', /no newc header/],
    [Buffer.from('fd377a585a0000', 'hex'), 'FORMAT_INVALID', /xz is not read/],
    [Buffer.from('something else'), 'FORMAT_INVALID', /neither an archive/],
    [Buffer.alloc(1024), 'FORMAT_INVALID', /holds no newc archive/],
    [gzipSync(archive([])).subarray(0, 40), 'FORMAT_INVALID', /gzip/],
  ] as const) {
    await refuses(bytes, code, message)
  }
})

test('damage in a compressed part is found by its checksum', async () => {
  for (const packed of [gzipSync(archive(SAMPLE)), zstdCompressSync(archive(SAMPLE), { params: { 201: 1 } })]) {
    const bytes = Buffer.from(packed)
    bytes[bytes.length - 2] = (bytes[bytes.length - 2] as number) ^ 1
    await refuses(bytes, 'FORMAT_INVALID', /./)
  }
})

test('the checksum of a 070702 member is checked', async () => {
  const bytes = Buffer.concat([member('a', 0o100644, 'abc'), member('TRAILER!!!', 0)])
  bytes.write('070702', 0)
  const sum = 0x61 + 0x62 + 0x63
  lie(bytes, 12, sum.toString(16).padStart(8, '0'))
  assert.equal((await read(bytes)).length, 1)
  lie(bytes, 12, (sum + 1).toString(16).padStart(8, '0'))
  await refuses(bytes, 'FORMAT_INVALID', /checksum of member "a"/)
})

const SAMPLE: readonly CpioMember[] = [
  { path: Buffer.from('.'), type: 'd', mode: 0o755 },
  { path: Buffer.from('bin'), type: 'd', mode: 0o755 },
  { path: Buffer.from('bin/tool'), type: 'f', mode: 0o4755, sizeBytes: 12, content: [Buffer.from('machine code')] },
  { path: Buffer.from('dev'), type: 'd', mode: 0o755 },
  { path: Buffer.from('dev/null'), type: 'c', mode: 0o666, rdev: [1, 3] },
  { path: Buffer.from('init'), type: 'l', mode: 0o777, target: Buffer.from('bin/tool') },
  { path: Buffer.from('empty'), type: 'f', mode: 0o600 },
  { path: Buffer.from('bin/other'), type: 'f', mode: 0o4755, linkTo: Buffer.from('bin/tool') },
]

function archive(members: readonly CpioMember[]): Buffer {
  return Buffer.concat([...writeCpio(members, { epoch: EPOCH })])
}

/** A member by hand, as a hostile author would. */
function member(path: string, mode: number, content = ''): Buffer {
  const header = { inode: 1, mode, uid: 0, gid: 0, linkCount: 1, mtime: 0, dev: [0, 0], rdev: [0, 0] } as const
  const bytes = Buffer.from(content)
  const padding = Buffer.alloc((4 - (bytes.length % 4)) % 4)
  return Buffer.concat([encodeCpioHeader({ ...header, sizeBytes: bytes.length }, Buffer.from(path)), bytes, padding])
}

function lie(bytes: Buffer, field: number, digits: string): Buffer {
  bytes.write(digits, 6 + field * 8, 'latin1')
  return bytes
}

interface Row {
  readonly path: string
  readonly type: string
  readonly mode: number
  readonly mtime: number
  readonly part: number
  readonly text: string
  readonly more: string
}

async function read(bytes: Buffer): Promise<Row[]> {
  const rows: Row[] = []
  for await (const entry of readCpio(bufferSource(bytes, 'initramfs'))) {
    const text = (await collectBytes(entry.content, 1 << 20, 'content')).toString()
    const { type, mode, mtime, part } = entry
    rows.push({ path: entry.path.toString(), type, mode, mtime, part, text, more: moreOf(entry) })
  }
  return rows
}

function moreOf(entry: CpioEntry): string {
  if (entry.target !== undefined) return `to ${entry.target}`
  if (entry.linkTo !== undefined) return `link to ${entry.linkTo}`
  return entry.rdev?.join(',') ?? ''
}

async function refuses(bytes: Buffer, code: string, message: RegExp): Promise<void> {
  await assert.rejects(read(bytes), (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.stack)
    assert.match(error.message, message)
    return true
  })
}
