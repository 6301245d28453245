import assert from 'node:assert/strict'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { type Reference, referenceOf, sha256, TREE } from '../core/mod.ts'
import { diskFs, initStore, memoryStore, openReader, packImageStore, type Store } from './mod.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-image-store-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0
const folder = (): string => join(scratch, String(count++))
const OPTIONS = { domainId: 'test-domain', epoch: 1_700_000_000 }

/** Small and large, tagged and not, and enough to fill more than one block. */
const CONTENTS: readonly (readonly [Buffer, boolean])[] = [
  ...Array.from({ length: 40 }, (_, i) => [Buffer.alloc(700_000, `content ${i}`), false] as const),
  ...Array.from({ length: 50 }, (_, i) => [Buffer.from(`tree ${i}`), true] as const),
  [Buffer.alloc(3 << 20, 'large'), false],
  [Buffer.alloc(17 << 20, 'large and tagged'), true],
  [Buffer.alloc(0), false],
]

function fill(store: Store, contents: typeof CONTENTS): Reference[] {
  const writer = store.openWriter()
  const references = contents.map(([bytes, isTree]) => writer.put(bytes, isTree ? TREE.typeTag : undefined))
  writer.commit()
  return references
}

/** Path, mode, time and content of everything in a folder. */
function listing(root: string): string[] {
  const lines: string[] = []
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const stat = lstatSync(path)
    const content = stat.isFile() ? sha256(readFileSync(path)) : ''
    lines.push(`${relative(root, path)} ${stat.mode.toString(8)} ${stat.mtimeMs} ${content}`)
  }
  return lines.sort()
}

for (const isCompressed of [false, true]) {
  test(`the same set in gives the same bytes out, whatever its order, source and umask${isCompressed ? ', also compressed' : ''}`, () => {
    const disk = initStore(folder())
    const memory = memoryStore()
    const references = fill(disk, CONTENTS)
    fill(memory, CONTENTS)
    const absent = [referenceOf('left out'), referenceOf('left out too')]
    const [first, second] = [folder(), folder()]
    const options = { ...OPTIONS, isCompressed }
    const packed = packImageStore(disk, references, absent, first, options)
    const umask = process.umask(0o077)
    try {
      const again = packImageStore(memory, [...references].reverse(), [...absent].reverse(), second, options)
      assert.deepEqual(again, packed)
    } finally {
      process.umask(umask)
    }
    assert.deepEqual(listing(first), listing(second))
    assert.ok(listing(first).every(line => line.includes(' 1700000000000 ')))
    const store = openReader(diskFs, first)
    assert.deepEqual([...store.references()], [...references].sort())
    for (const [i, [bytes]] of CONTENTS.entries()) assert.ok(store.read(references[i]!).equals(bytes))
    assert.deepEqual(store.state(), { snapshotId: 0, logPosition: 2 })
    disk.close()
    store.close()
  })
}

test('what is listed as absent is absent, and says so; what is missing otherwise does not', () => {
  const memory = memoryStore()
  const references = fill(memory, CONTENTS.slice(0, 3))
  const [absent, unknown] = [referenceOf('left out'), referenceOf('never heard of')]
  const root = folder()
  packImageStore(memory, references, [absent, references[0]!], root, OPTIONS)
  const store = openReader(diskFs, root)
  assert.ok(store.isDeclaredAbsent(absent))
  assert.ok(!store.has(absent) && store.tryStat(absent) === undefined)
  assert.throws(() => store.read(absent), {
    code: 'STORE_NOT_FOUND',
    details: { reference: absent, declared_absent: true },
  })
  assert.throws(() => store.read(unknown), {
    code: 'STORE_NOT_FOUND',
    details: { reference: unknown, declared_absent: false },
  })
  assert.ok(!store.isDeclaredAbsent(references[0]!), 'what is present is not listed as absent')
  assert.throws(() => store.openWriter(), { code: 'STORE_READ_ONLY' })
  store.close()
})

test('a missing artifact stops the packing and is named', () => {
  const missing = referenceOf('missing')
  assert.throws(
    () => packImageStore(memoryStore(), [missing], [], folder(), OPTIONS),
    (error: Error) => error.message.includes(missing),
  )
})

test('large content is a raw block: its file is the content, named by its sha256', () => {
  const memory = memoryStore()
  const bytes = Buffer.alloc(2 << 20, 'raw')
  const [reference] = fill(memory, [[bytes, false]])
  const root = folder()
  packImageStore(memory, [reference!], [], root, OPTIONS)
  const store = openReader(diskFs, root)
  const path = store.tryContentPath(reference!)
  assert.ok(path?.endsWith(`${sha256(bytes)}.blk`))
  assert.ok(readFileSync(path!).equals(bytes))
  store.close()
})
