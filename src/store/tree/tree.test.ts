import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Reference, TREE, type TreeEntry } from '../../core/mod.ts'
import { listXattrs, mknod, setXattr, splitDevice, tryGetXattr } from '../../sys/mod.ts'
import type { Store } from '../interface.ts'
import { memoryStore } from '../memory-store.ts'
import { checkoutTree } from './checkout.ts'
import { diffTrees } from './diff.ts'
import { ingestTree } from './ingest.ts'
import { showPath } from './path.ts'
import { resolveFile, resolvePath, walkTree } from './walk.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-tree-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
let count = 0
const folder = (): string => join(scratch, String(count++))
const isRoot = process.geteuid?.() === 0
const needsRoot = { skip: isRoot ? false : 'needs root' }

function ingest(store: Store, path: string, options = {}): Reference {
  const writer = store.openWriter()
  const { reference } = ingestTree(writer, path, options)
  writer.commit()
  return reference
}

function put(store: Store, entries: readonly TreeEntry[]): Reference {
  const writer = store.openWriter()
  const reference = writer.put(TREE.encode({ entries }), TREE.typeTag)
  writer.commit()
  return reference
}

function putBytes(store: Store, text: string): Reference {
  const writer = store.openWriter()
  const reference = writer.put(Buffer.from(text))
  writer.commit()
  return reference
}

const file = (name: string, ref: Reference, size: number, more: Partial<TreeEntry> = {}): TreeEntry =>
  ({ name: Buffer.from(name), type: 'f', mode: 0o644, ref, size, ...more }) as TreeEntry

/** Path, type, mode, owner, size, times and content of everything, hard links by who they are the same as. */
function describe(root: string): string[] {
  const lines: string[] = []
  const inodes = new Map<bigint, string>()
  const walk = (path: Buffer, shown: string): void => {
    const stat = lstatSync(path, { bigint: true })
    const twin = stat.nlink > 1n && !stat.isDirectory() ? (inodes.get(stat.ino) ?? 'first') : ''
    if (twin === 'first') inodes.set(stat.ino, shown)
    const content = stat.isFile()
      ? readFileSync(path).toString('hex').slice(0, 64)
      : stat.isSymbolicLink()
        ? readlinkSync(path, { encoding: 'buffer' }).toString('hex')
        : ''
    const xattrs = listXattrs(path).map(name => `${name}=${tryGetXattr(path, name)?.toString('hex')}`)
    lines.push(
      `${shown} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.isDirectory() ? '' : stat.size} ` +
        `${stat.mtimeMs / 1000n} ${stat.rdev} ${twin} ${content} ${xattrs}`,
    )
    if (!stat.isDirectory()) return
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)) {
      walk(Buffer.concat([path, Buffer.from('/'), name]), `${shown}/${name.toString('hex')}`)
    }
  }
  walk(Buffer.from(root), '.')
  return lines
}

/** One of everything that an unprivileged user can make. */
function makePlainTree(root: string): void {
  mkdirSync(join(root, 'a/b/c'), { recursive: true })
  writeFileSync(join(root, 'a/empty'), '')
  writeFileSync(join(root, 'a/b/file'), 'content')
  writeFileSync(join(root, 'a/large'), Buffer.alloc(3 << 20, 'large'))
  writeFileSync(join(root, 'a-b'), 'sorts between a and a/')
  symlinkSync('../nowhere', join(root, 'a/dangling'))
  symlinkSync(Buffer.from([0xff, 0xfe]), join(root, 'a/odd-target'))
  chmodSync(join(root, 'a/b/file'), 0o4751)
  chmodSync(join(root, 'a/b'), 0o1777)
  mknod(join(root, 'a/fifo'), 0o010644)
  for (const name of [Buffer.from([0xff, 0x80]), Buffer.from('new\nline'), Buffer.alloc(255, 'n'), Buffer.from(' ')]) {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), name)
  }
  writeFileSync(join(root, 'unwritable'), 'x', { mode: 0o444 })
  lutimesSync(join(root, 'a/dangling'), 1000, 1000)
  lutimesSync(join(root, 'a/b'), 2000, 2000)
  truncateSync(join(root, 'a/large'), 4 << 20)
}

test('a tree comes back as it was: names of any bytes, modes, times, links, fifos', () => {
  const [source, target] = [folder(), folder()]
  makePlainTree(source)
  const store = memoryStore()
  const reference = ingest(store, source)
  const { entryCount } = checkoutTree(store, reference, target)
  assert.deepEqual(describe(target), describe(source))
  assert.equal(entryCount, [...walkTree(store, reference)].length)
  assert.equal(ingest(store, target), reference, 'and gives the same reference again')
})

test('owners, devices, sockets and attributes come back when run as root', needsRoot, () => {
  const [source, target] = [folder(), folder()]
  mkdirSync(source)
  writeFileSync(join(source, 'owned'), 'x')
  mknod(join(source, 'char'), 0o020600, 1, 3)
  mknod(join(source, 'big'), 0o060600, 3000, 1_000_000)
  mknod(join(source, 'socket'), 0o140755)
  setXattr(join(source, 'owned'), Buffer.from('trusted.asl'), Buffer.from([0, 1, 255]))
  setXattr(source, Buffer.from('user.top'), Buffer.from('of the top'))
  const store = memoryStore()
  const reference = ingest(store, source)
  checkoutTree(store, reference, target)
  assert.deepEqual(describe(target), describe(source))
  assert.deepEqual(resolvePath(store, reference, 'big')?.rdev, [3000, 1_000_000])
  assert.deepEqual(splitDevice(lstatSync(join(target, 'big')).rdev), [3000, 1_000_000])
  assert.deepEqual(resolvePath(store, reference, '')?.xattrs, [[Buffer.from('user.top'), Buffer.from('of the top')]])
})

test('hard links: the name that is first in byte order of full paths carries the content', () => {
  const [source, target] = [folder(), folder()]
  mkdirSync(join(source, 'a'), { recursive: true })
  writeFileSync(join(source, 'a/z'), 'twice')
  linkSync(join(source, 'a/z'), join(source, 'a-b'))
  linkSync(join(source, 'a/z'), join(source, 'b'))
  const store = memoryStore()
  const reference = ingest(store, source)
  // `a-b` < `a/z` < `b` by bytes, although the folder `a` comes before `a-b`.
  assert.equal(resolvePath(store, reference, 'a-b')?.linkTo, undefined)
  assert.equal(resolvePath(store, reference, 'a/z')?.linkTo?.toString(), 'a-b')
  assert.equal(resolvePath(store, reference, 'b')?.linkTo?.toString(), 'a-b')
  assert.equal(resolveFile(store, reference, 'b')?.size, 5)
  checkoutTree(store, reference, target)
  assert.deepEqual(describe(target), describe(source))
  assert.equal(lstatSync(join(target, 'b')).nlink, 3)
})

test('walkTree goes in byte order of full paths', () => {
  const source = folder()
  makePlainTree(source)
  const store = memoryStore()
  const paths = [...walkTree(store, ingest(store, source))].map(({ path }) => path)
  assert.deepEqual(paths, paths.toSorted(Buffer.compare))
  assert.ok(paths.some(path => path.toString() === 'a/b/file'))
})

test('times: clamp records only what is before the epoch, drop records none, and absent ones come back as the epoch', () => {
  const [source, target] = [folder(), folder()]
  mkdirSync(source)
  for (const [name, seconds] of [
    ['old', 1000],
    ['new', 3000],
  ] as const) {
    writeFileSync(join(source, name), name)
    lutimesSync(join(source, name), seconds, seconds)
  }
  const store = memoryStore()
  const clamped = ingest(store, source, { mtime: 'clamp', epoch: 2000 })
  assert.equal(resolvePath(store, clamped, 'old')?.mtime, 1000)
  assert.equal(resolvePath(store, clamped, 'new')?.mtime, undefined)
  checkoutTree(store, clamped, target, { epoch: 2000 })
  assert.equal(lstatSync(join(target, 'old')).mtimeMs, 1_000_000)
  assert.equal(lstatSync(join(target, 'new')).mtimeMs, 2_000_000)
  assert.equal(lstatSync(target).mtimeMs, 2_000_000)
  const dropped = ingest(store, source, { mtime: 'drop' })
  assert.ok([...walkTree(store, dropped)].every(({ entry }) => entry.mtime === undefined))
})

test('leaveOut takes out an entry with everything below it', () => {
  const source = folder()
  makePlainTree(source)
  const store = memoryStore()
  const reference = ingest(store, source, { leaveOut: (path: Buffer) => path.toString() === 'a/b' })
  assert.equal(resolvePath(store, reference, 'a/b'), undefined)
  assert.notEqual(resolvePath(store, reference, 'a/large'), undefined)
})

test('equal folders are one artifact, and a changed file rewrites the trees above it alone', () => {
  const source = folder()
  for (const name of ['x', 'y', 'z']) {
    mkdirSync(join(source, name, 'deep'), { recursive: true })
    writeFileSync(join(source, name, 'deep', 'file'), 'same')
    for (const path of ['deep/file', 'deep', '']) lutimesSync(join(source, name, path), 1, 1)
  }
  const store = memoryStore()
  ingest(store, source)
  const before = new Set(store.references(TREE.typeTag))
  assert.equal(before.size, 3, 'the top, one of x y z, one deep')
  writeFileSync(join(source, 'y/deep/file'), 'other')
  ingest(store, source)
  const added = [...store.references(TREE.typeTag)].filter(reference => !before.has(reference))
  assert.equal(added.length, 3)
})

test('a target that holds anything is refused, and nothing in it is touched', () => {
  const [source, target] = [folder(), folder()]
  makePlainTree(source)
  mkdirSync(target)
  writeFileSync(join(target, 'mine'), 'mine')
  const store = memoryStore()
  const reference = ingest(store, source)
  assert.throws(() => checkoutTree(store, reference, target), { code: 'STORE_EXISTS' })
  assert.deepEqual(readdirSync(target), ['mine'])
})

test('hostile names never get past the decoder', () => {
  const store = memoryStore()
  const content = putBytes(store, 'x')
  for (const name of ['..', '.', '', 'a/b', 'nul\0', '/etc/passwd', 'n'.repeat(256)]) {
    const tree = put(store, [file(name, content, 1)])
    assert.throws(() => checkoutTree(store, tree, folder()), { code: 'TREE_INVALID' }, JSON.stringify(name))
    assert.throws(() => [...walkTree(store, tree)], { code: 'TREE_INVALID' })
  }
})

test('hostile hard links: only an earlier file of the same tree can be joined, never through a link', () => {
  const outside = folder()
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), 'secret')
  const store = memoryStore()
  const content = putBytes(store, 'x')
  const link = (name: string, target: string): TreeEntry => ({
    name: Buffer.from(name),
    type: 'l',
    mode: 0o777,
    target: Buffer.from(target),
  })
  const further = (name: string, linkTo: string): TreeEntry => ({
    name: Buffer.from(name),
    type: 'f',
    mode: 0o644,
    linkTo: Buffer.from(linkTo),
  })
  const trees: TreeEntry[][] = [
    [link('a', outside), further('b', 'a/secret')],
    [link('a', join(outside, 'secret')), further('b', 'a')],
    [further('b', '../secret')],
    [further('b', join(outside, 'secret'))],
    [further('b', 'b')],
    [file('a', content, 1), further('b', 'a'), further('c', 'b')],
    [further('a', 'b'), file('b', content, 1)],
  ]
  for (const entries of trees) {
    assert.throws(() => checkoutTree(store, put(store, entries), folder()), { code: 'TREE_INVALID' })
  }
  assert.equal(lstatSync(join(outside, 'secret')).nlink, 1)
})

test('a hostile symbolic link is made and never followed', () => {
  const outside = folder()
  mkdirSync(outside)
  const store = memoryStore()
  const content = putBytes(store, 'x')
  const tree = put(store, [
    { name: Buffer.from('link'), type: 'l', mode: 0o777, target: Buffer.from(outside), uid: 12345 },
    file('plain', content, 1),
  ])
  const target = folder()
  const before = lstatSync(outside)
  checkoutTree(store, tree, target)
  assert.equal(readlinkSync(join(target, 'link')), outside)
  assert.deepEqual(readdirSync(outside), [])
  assert.equal(lstatSync(outside).uid, before.uid)
  assert.equal(lstatSync(outside).mtimeMs, before.mtimeMs)
})

test('a tree that names itself endlessly wide is refused at the limit', () => {
  const store = memoryStore()
  let tree = put(store, [])
  for (let level = 0; level < 12; level++) {
    const entries = ['a', 'b', 'c', 'd'].map(name => ({
      name: Buffer.from(name),
      type: 'd' as const,
      mode: 0o755,
      ref: tree,
    }))
    tree = put(store, entries)
  }
  assert.throws(() => checkoutTree(store, tree, folder(), { maxEntries: 500 }), { code: 'LIMIT_EXCEEDED' })
})

test('content that does not verify, or has another size than its entry, leaves no file', () => {
  const store = memoryStore()
  const content = putBytes(store, 'four')
  const tree = put(store, [file('wrong-size', content, 5)])
  const target = folder()
  assert.throws(() => checkoutTree(store, tree, target), { code: 'TREE_INVALID' })
  assert.ok(!existsSync(join(target, 'wrong-size')))
  const lying: Store = { ...store, chunks: () => [Buffer.from('evil')] }
  const honest = put(store, [file('file', content, 4)])
  const stopped: Store = {
    ...lying,
    *chunks() {
      yield Buffer.from('ev')
      throw Object.assign(new Error('damaged'), { code: 'STORE_INTEGRITY' })
    },
  }
  const other = folder()
  assert.throws(() => checkoutTree(stopped, honest, other), { code: 'STORE_INTEGRITY' })
  assert.ok(!existsSync(join(other, 'file')))
})

test('diffTrees names what was added, removed and changed, and reads nothing that is equal', () => {
  const [before, after] = [folder(), folder()]
  for (const root of [before, after]) {
    mkdirSync(join(root, 'same/deep'), { recursive: true })
    mkdirSync(join(root, 'changed'), { recursive: true })
    writeFileSync(join(root, 'same/deep/file'), 'same')
    writeFileSync(join(root, 'changed/file'), root)
    writeFileSync(join(root, 'kind-a'), 'x')
    for (const path of ['same/deep/file', 'same/deep', 'same', 'kind-a', 'changed/file', 'changed', '']) {
      lutimesSync(join(root, path), 1, 1)
    }
  }
  mkdirSync(join(before, 'gone'))
  writeFileSync(join(before, 'gone/file'), 'x')
  writeFileSync(join(before, 'becomes-folder'), 'x')
  mkdirSync(join(after, 'becomes-folder'))
  writeFileSync(join(after, 'becomes-folder/inside'), 'x')
  chmodSync(join(after, 'kind-a'), 0o600)
  for (const root of [before, after]) lutimesSync(root, 1, 1)
  const store = memoryStore()
  const [a, b] = [ingest(store, before), ingest(store, after)]
  const reads: Reference[] = []
  const watched: Store = {
    ...store,
    read: (reference, maxBytes) => {
      reads.push(reference)
      return store.read(reference, maxBytes)
    },
  }
  const changes = [...diffTrees(watched, a, b)].map(({ path, before, after }) => {
    return `${path} ${before?.type ?? '-'}${after?.type ?? '-'}`
  })
  assert.deepEqual(changes, [
    'becomes-folder fd',
    'becomes-folder/inside -f',
    'changed/file ff',
    'gone d-',
    'gone/file f-',
    'kind-a ff',
  ])
  assert.deepEqual([...diffTrees(store, a, a)], [])
  const same = resolvePath(store, a, 'same')?.ref
  assert.ok(same !== undefined && !reads.includes(same))
})

test('showPath keeps a message on one line', () => {
  assert.equal(showPath('plain/ü'), 'plain/ü')
  assert.equal(showPath('new\nline'), 'new\\x0aline')
  assert.equal(showPath(Buffer.from([0x61, 0xff])), 'a\\xff')
})
