/** Stage 0 from the real archive: built twice, compared, and used. Needs a Debian mirror, and bwrap for the last test. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { entryRef, type Reference, TREE, type TreeEntry } from '../../src/core/mod.ts'
import {
  type Archive,
  buildStage0,
  fetchPackages,
  indexDebs,
  mirrorFetch,
  openArchive,
  openKeyring,
  parseMirror,
  type Stage0,
  stage0Packages,
  tryHostMirror,
  unpackDebs,
} from '../../src/image/mod.ts'
import { memoryStore, type Store } from '../../src/store/mod.ts'
import { findTool, run, TOOL_ENV } from '../../src/sys/mod.ts'

const BASE = 'http://mirror.internal/debian'
const setting = process.env.ASL_DEBIAN_MIRROR
const mirror = setting === undefined ? tryHostMirror('/') : parseMirror(setting)
const skip = mirror === undefined && 'a Debian mirror: set ASL_DEBIAN_MIRROR'

const scratchFolder = mkdtempSync(join(tmpdir(), 'asl-stage0-'))
after(() => rmSync(scratchFolder, { recursive: true, force: true }))

let store: Store
let archive: Archive
let stage0: Stage0

before(async () => {
  if (mirror === undefined) return
  store = memoryStore()
  archive = await openReal(store)
  stage0 = await buildStage0({ archive, store, scratchFolder })
})

async function openReal(into: Store): Promise<Archive> {
  const keys = readFileSync(join(import.meta.dirname, '../../recipes/keys/debian-archive-trixie.asc'), 'utf8')
  return openArchive({
    fetch: mirrorFetch({ store: into, mirrors: new Map([[BASE, mirror?.debian ?? '']]), scratchFolder }),
    sources: [{ baseUrl: BASE, suite: 'trixie', components: ['main'] }],
    architecture: 'amd64',
    keyring: await openKeyring([keys]),
    nowSeconds: Math.floor(Date.now() / 1000),
  })
}

test('stage 0 built twice, in two stores and two orders, is the same tree', { skip }, async () => {
  const second = memoryStore()
  const other = await openReal(second)
  const debs = await fetchPackages(other, stage0Packages(other).reverse(), { concurrency: 7 })
  const writer = second.openWriter()
  const tree = await unpackDebs(debs, { store: second, writer, scratchFolder })
  assert.equal(tree, stage0.tree)
})

test('every file of stage 0 has the digest that its package states', { skip }, () => {
  const entries = entriesOf(stage0.tree)
  let checked = 0
  for (const [path, entry] of entries) {
    if (!/^var\/lib\/dpkg\/info\/[^/]+\.md5sums$/.test(path)) continue
    for (const line of store.read(entryRef(entry)).toString('utf8').trimEnd().split('\n')) {
      const [, md5, name = ''] = /^([0-9a-f]{32}) {2}(.*)$/.exec(line) ?? []
      const file = entries.get(name) ?? entries.get(`usr/${name}`)
      assert.ok(file, `${path}: ${name} is not in the tree`)
      const target = file.linkTo === undefined ? file : entries.get(file.linkTo.toString('latin1'))
      assert.equal(
        createHash('md5')
          .update(store.read(entryRef(target!)))
          .digest('hex'),
        md5,
        name,
      )
      checked++
    }
  }
  assert.ok(checked > 3000, `only ${checked} files were checked`)
})

test('every regular file of stage 0 that we did not write is a member of a package', { skip }, async () => {
  const members = new Set<string>()
  for await (const [, index] of indexDebs(stage0.debs, { store, threads: 2 })) {
    for (const file of index.files)
      members.add(`${file.path.replace(/^(bin|sbin|lib|lib64)\//, 'usr/$1/')} ${file.reference}`)
  }
  const ours = /^(etc\/(passwd|group)|var\/lib\/dpkg\/.*)$/
  const strangers = [...entriesOf(stage0.tree)].filter(
    ([path, entry]) =>
      entry.type === 'f' && entry.ref !== undefined && !ours.test(path) && !members.has(`${path} ${entry.ref}`),
  )
  assert.deepEqual(
    strangers.map(([path]) => path),
    [],
  )
})

const bwrap = findTool('bwrap')

test('mmdebstrap makes a minbase tree inside stage 0', { skip: skip || (bwrap === undefined && 'bwrap') }, async () => {
  const root = join(scratchFolder, 'root')
  materialise(stage0.tree, root)
  for (const file of ['resolv.conf', 'hosts']) writeFileSync(join(root, 'etc', file), readFileSync(join('/etc', file)))
  const inside = (...argv: string[]) =>
    run(
      [
        bwrap as string,
        '--unshare-user',
        '--uid',
        '0',
        '--gid',
        '0',
        '--bind',
        root,
        '/',
        '--proc',
        '/proc',
        '--dev',
        '/dev',
        '--tmpfs',
        '/tmp',
        ...argv,
      ],
      { env: TOOL_ENV },
    )
  const audit = await inside('/usr/bin/dpkg-query', '-W', '-f', '$' + '{db:Status-Status}\n')
  assert.deepEqual([...new Set(audit.stdout.toString().trim().split('\n'))], ['unpacked'])
  const made = await run(
    [
      bwrap as string,
      '--bind',
      root,
      '/',
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--tmpfs',
      '/tmp',
      '--cap-add',
      'ALL',
      '/usr/bin/mmdebstrap',
      '--mode=root',
      '--variant=minbase',
      'trixie',
      '/root/minbase.tar',
      mirror?.debian ?? '',
    ],
    { env: { ...TOOL_ENV, SOURCE_DATE_EPOCH: '1700000000' } },
  )
  assert.equal(made.exitCode, 0, made.stderr.toString())
  assert.doesNotMatch(made.stderr.toString(), /cannot execute|No such file/)
  const listed = await inside('/usr/bin/tar', '-tf', '/root/minbase.tar')
  assert.match(listed.stdout.toString(), /^\.\/usr\/bin\/apt$/m)
})

function entriesOf(tree: Reference, prefix = '', found = new Map<string, TreeEntry>()): Map<string, TreeEntry> {
  for (const entry of TREE.decode(store.read(tree)).entries) {
    const path = `${prefix}${entry.name.toString('latin1')}`
    found.set(path, entry)
    if (entry.type === 'd') entriesOf(entryRef(entry), `${path}/`, found)
  }
  return found
}

/** Files, modes, links and times of a tree on disk; owners stay those of whoever runs the test. */
function materialise(tree: Reference, root: string): void {
  mkdirSync(root)
  const further: [string, string][] = []
  for (const [name, entry] of entriesOf(tree)) {
    const path = join(root, name)
    if (entry.type === 'd') mkdirSync(path)
    else if (entry.type === 'l') symlinkSync(entry.target!, path)
    else if (entry.linkTo !== undefined) further.push([join(root, entry.linkTo.toString('latin1')), path])
    else writeFileSync(path, store.read(entryRef(entry)))
    if (entry.type === 'f' && entry.linkTo === undefined) {
      chmodSync(path, entry.mode)
      if (entry.mtime !== undefined) lutimesSync(path, entry.mtime, entry.mtime)
    }
  }
  for (const [first, path] of further) linkSync(first, path)
}
