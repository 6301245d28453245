import assert from 'node:assert/strict'
import { test } from 'node:test'
import { debBytes, paxMember, type TarMember } from '../../../tests/fakes/archive-builder.ts'
import { isAslError, type Reference, referenceOf, TREE, type TreeEntry } from '../../core/mod.ts'
import { memoryStore, type Store } from '../../store/mod.ts'
import { unpackDebs } from './mod.ts'

interface Sample {
  readonly name: string
  readonly data: readonly TarMember[]
  readonly control?: Readonly<Record<string, string>>
  readonly controlMembers?: readonly TarMember[]
}

const BASE: Sample = {
  name: 'base-files',
  data: [
    { path: './', flag: '5' },
    { path: './bin', flag: '2', link: 'usr/bin' },
    { path: './usr/', flag: '5' },
    { path: './usr/bin/', flag: '5' },
    { path: './usr/base', content: 'base' },
    { path: './tmp/', flag: '5', mode: 0o1777 },
  ],
}

async function unpack(samples: readonly Sample[]): Promise<{ store: Store; tree: Reference }> {
  const store = memoryStore()
  const writer = store.openWriter()
  const debs = samples.map(({ name, data, control = {}, controlMembers = [] }) => {
    const bytes = debBytes({ control: { Package: name, ...control }, data, controlMembers, compression: 'gz' })
    return { name: `${name}.deb`, package: name, reference: writer.put(bytes) }
  })
  writer.commit()
  const tree = await unpackDebs(debs, { store, writer, scratchFolder: '/nonexistent' })
  writer.commit()
  return { store, tree }
}

/** Every entry below the tree, by path. */
function entriesOf(store: Store, tree: Reference, prefix = ''): Map<string, TreeEntry> {
  const found = new Map<string, TreeEntry>()
  for (const entry of TREE.decode(store.read(tree)).entries) {
    const path = `${prefix}${entry.name.toString('latin1')}`
    found.set(path, entry)
    if (entry.type === 'd')
      for (const [below, child] of entriesOf(store, entry.ref!, `${path}/`)) found.set(below, child)
  }
  return found
}

async function refused(code: 'ARCHIVE_HOSTILE' | 'PACKAGE_CONFLICT', samples: readonly Sample[], named: string) {
  await assert.rejects(unpack(samples), error => {
    assert.ok(isAslError(error, code), String(error))
    assert.ok(error.message.includes(named), error.message)
    return true
  })
}

test('files keep mode, owner, time, attributes and content; paths through /bin land in /usr/bin', async () => {
  const { store, tree } = await unpack([
    {
      name: 'alpha',
      data: [
        paxMember({ 'SCHILY.xattr.security.capability': Buffer.from([1, 0, 255]) }),
        { path: './bin/ping', content: 'elf', mode: 0o4755, uid: 1, gid: 42, mtime: 1_700_000_001 },
      ],
    },
    BASE,
  ])
  const entry = entriesOf(store, tree).get('usr/bin/ping')
  assert.equal(entry?.ref, referenceOf('elf'))
  assert.deepEqual([entry?.mode, entry?.uid, entry?.gid, entry?.mtime, entry?.size], [0o4755, 1, 42, 1_700_000_001, 3])
  assert.deepEqual(entry?.xattrs, [[Buffer.from('security.capability'), Buffer.from([1, 0, 255])]])
  assert.equal(entriesOf(store, tree).get('bin')?.target?.toString(), 'usr/bin')
})

test('the same packages give the same tree in whatever order they come', async () => {
  const alpha = { name: 'alpha', data: [{ path: './a', content: '1' }] }
  const beta = { name: 'beta', data: [{ path: './b', content: '2' }] }
  const first = await unpack([BASE, alpha, beta])
  const second = await unpack([beta, alpha, BASE])
  assert.equal(first.tree, second.tree)
  const third = await unpack([BASE, alpha, { ...beta, data: [{ path: './b', content: '3' }] }])
  assert.notEqual(first.tree, third.tree)
})

test('further names of a file refer to the one that is first in byte order of the paths', async () => {
  const { store, tree } = await unpack([
    BASE,
    {
      name: 'git',
      data: [
        { path: './usr/lib/', flag: '5' },
        { path: './usr/lib/z', content: 'same' },
        { path: './usr/lib/a', flag: '1', link: './usr/lib/z' },
        { path: './usr/lib-b', flag: '1', link: 'usr/lib/z' },
      ],
    },
  ])
  const entries = entriesOf(store, tree)
  assert.equal(entries.get('usr/lib-b')?.ref, referenceOf('same'))
  assert.equal(entries.get('usr/lib/a')?.linkTo?.toString(), 'usr/lib-b')
  assert.equal(entries.get('usr/lib/z')?.linkTo?.toString(), 'usr/lib-b')
})

test('dpkg finds its database: state, lists, digests of conffiles, scripts', async () => {
  const { store, tree } = await unpack([
    BASE,
    {
      name: 'alpha',
      control: { 'Multi-Arch': 'same', Description: 'x' },
      controlMembers: [
        { path: './conffiles', content: '/etc/alpha.conf\n' },
        { path: './postinst', content: '#!/bin/sh\n', mode: 0o755 },
      ],
      data: [
        { path: './', flag: '5' },
        { path: './etc/', flag: '5' },
        { path: './etc/alpha.conf', content: 'hello\n' },
      ],
    },
  ])
  const entries = entriesOf(store, tree)
  const read = (path: string) => store.read(entries.get(`var/lib/dpkg/${path}`)!.ref!).toString()
  assert.match(read('status'), /^Package: alpha\nStatus: install ok unpacked\nVersion: 1\.0-1\n/m)
  assert.match(read('status'), /\nConffiles:\n \/etc\/alpha\.conf b1946ac92492d2347c6235b4d2611184\n\n$/)
  assert.equal(read('info/alpha:amd64.list'), '/.\n/etc\n/etc/alpha.conf\n')
  assert.equal(entries.get('var/lib/dpkg/info/alpha:amd64.postinst')?.mode, 0o755)
  assert.equal(read('info/format'), '1\n')
})

test('users and groups come from the masters of base-passwd, awk from mawk, mount points are there', async () => {
  const { store, tree } = await unpack([
    BASE,
    {
      name: 'base-passwd',
      data: [{ path: './usr/share/base-passwd/passwd.master', content: 'root:*:0:0:::\n', mode: 0o600 }],
    },
    { name: 'mawk', data: [{ path: './usr/bin/mawk', content: 'elf', mode: 0o755 }] },
  ])
  const entries = entriesOf(store, tree)
  assert.equal(entries.get('etc/passwd')?.ref, referenceOf('root:*:0:0:::\n'))
  assert.equal(entries.get('etc/passwd')?.mode, 0o644)
  assert.equal(entries.get('usr/bin/awk')?.target?.toString(), 'mawk')
  assert.equal(entries.get('tmp')?.mode, 0o1777)
  assert.equal(entries.get('proc')?.type, 'd')
})

test('Replaces decides who has a file that two packages bring, in both orders; without it they clash', async () => {
  const file = (content: string) => [{ path: './usr/f', content }]
  const replacing = { Replaces: 'beta (<< 2)' }
  const a = { name: 'alpha', data: file('alpha') }
  const b = { name: 'beta', data: file('beta') }
  const winner = async (samples: Sample[]) => {
    const { store, tree } = await unpack([BASE, ...samples])
    return entriesOf(store, tree).get('usr/f')?.ref
  }
  assert.equal(await winner([{ ...a, control: replacing }, b]), referenceOf('alpha'))
  assert.equal(await winner([a, { ...b, control: { Replaces: 'alpha' } }]), referenceOf('beta'))
  await refused('PACKAGE_CONFLICT', [BASE, a, b], 'alpha and beta')
  await refused('PACKAGE_CONFLICT', [BASE, { ...a, control: { Replaces: 'beta (<< 1.0)' } }, b], './usr/f')
})

test('a folder in the place of a link to a folder goes through it; the first to bring a folder decides its mode', async () => {
  const { store, tree } = await unpack([
    BASE,
    {
      name: 'alpha',
      data: [
        { path: './bin/', flag: '5', mode: 0o700 },
        { path: './srv/', flag: '5', mode: 0o750 },
      ],
    },
    { name: 'beta', data: [{ path: './srv/', flag: '5', mode: 0o777 }] },
  ])
  const entries = entriesOf(store, tree)
  assert.equal(entries.get('bin')?.type, 'l')
  assert.equal(entries.get('srv')?.mode, 0o750)
})

const HOSTILE: readonly (readonly [title: string, data: readonly TarMember[], named: string])[] = [
  ['climbs out', [{ path: './../etc/passwd', content: 'x' }], './../etc/passwd'],
  ['climbs out further down', [{ path: './usr/../../x', content: 'x' }], './usr/../../x'],
  ['is absolute', [{ path: '/etc/passwd', content: 'x' }], '/etc/passwd'],
  [
    'writes through a link it has laid',
    [
      { path: './l', flag: '2', link: '/etc' },
      { path: './l/passwd', content: 'x' },
    ],
    './l/passwd',
  ],
  [
    'writes through a chain of links',
    [
      { path: './m', flag: '2', link: '..' },
      { path: './l', flag: '2', link: 'm' },
      { path: './l/x', content: 'x' },
    ],
    './l/x',
  ],
  [
    'lays a folder over its link',
    [
      { path: './l', flag: '2', link: 'usr' },
      { path: './l/', flag: '5' },
      { path: './l/f', content: 'x' },
    ],
    './l/',
  ],
  ['brings a character device', [{ path: './dev/mem', flag: '3', rdev: [1, 1] }], './dev/mem'],
  ['brings a block device', [{ path: './sda', flag: '4', rdev: [8, 0] }], './sda'],
  ['links to a file outside', [{ path: './h', flag: '1', link: '../../etc/shadow' }], '../../etc/shadow'],
  ['links to a file of another package', [{ path: './h', flag: '1', link: './usr/base' }], './h'],
  ['links to itself', [{ path: './h', flag: '1', link: './h' }], './h'],
  [
    'brings a name twice',
    [
      { path: './f', content: '1' },
      { path: './f', content: '2' },
    ],
    './f',
  ],
  ['replaces the root', [{ path: './', flag: '2', link: '/tmp' }], './'],
  [
    'goes below a file',
    [
      { path: './f', content: '1' },
      { path: './f/g', content: '2' },
    ],
    './f/g',
  ],
  ['lies about a size', [{ path: './f', content: '1', statedSize: 1e9 }], './f'],
  ['has a line feed in a name', [{ path: './a\nb', content: '1' }], 'a\\nb'],
]

for (const [title, data, named] of HOSTILE) {
  test(`a package that ${title} is refused, and names the member`, async () => {
    const code = title.startsWith('lays') ? 'PACKAGE_CONFLICT' : 'ARCHIVE_HOSTILE'
    await refused(code, [BASE, { name: 'evil', data }], named)
  })
}

test('links of other packages that lead in circles or out of the tree stay inside, or are refused', async () => {
  const circle = {
    name: 'circle',
    data: [
      { path: './x', flag: '2', link: 'y' },
      { path: './y', flag: '2', link: 'x' },
    ],
  }
  await refused('ARCHIVE_HOSTILE', [BASE, circle, { name: 'evil', data: [{ path: './x/f', content: '1' }] }], './x/f')
  const out = { name: 'b-out', data: [{ path: './up', flag: '2', link: '../../../usr' }] }
  const { store, tree } = await unpack([BASE, out, { name: 'c', data: [{ path: './up/f', content: '1' }] }])
  assert.ok(entriesOf(store, tree).has('usr/f'))
})

test('a file that holds another package than it was taken for is refused', async () => {
  await assert.rejects(unpack([{ ...BASE, control: { Package: 'other' } }]), /holds package "other", not "base-files"/)
})
