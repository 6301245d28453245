import assert from 'node:assert/strict'
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Reference, referenceOf, type TreeEntry } from '../../core/mod.ts'
import type { Store } from '../interface.ts'
import { memoryStore } from '../memory-store.ts'
import { checkoutTree } from './checkout.ts'
import { type DraftFolder, openDraft } from './draft.ts'
import { ingestTree } from './ingest.ts'
import { resolveFile, walkTree } from './walk.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-links-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0
const name = (text: string): Buffer => Buffer.from(text)

/** `bin/a` = `bin/b` = `lib/c`, and a file by itself. */
function linkedTree(store: Store): Reference {
  const root = join(scratch, String(count++))
  for (const folder of ['bin', 'lib', 'other']) mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(join(root, 'bin/a'), 'linked')
  linkSync(join(root, 'bin/a'), join(root, 'bin/b'))
  linkSync(join(root, 'bin/a'), join(root, 'lib/c'))
  writeFileSync(join(root, 'other/file'), 'alone')
  const writer = store.openWriter()
  const { reference } = ingestTree(writer, root, { mtime: 'drop' })
  writer.commit()
  return reference
}

function edit(store: Store, tree: Reference, change: (top: DraftFolder) => void): Reference {
  const draft = openDraft(store, tree)
  change(draft)
  const writer = store.openWriter()
  for (const text of ['linked', 'new', 'alone']) writer.put(Buffer.from(text))
  const reference = draft.put(writer)
  writer.commit()
  return reference
}

const file = (text: string, content: string): TreeEntry =>
  ({ name: name(text), type: 'f', mode: 0o644, ref: referenceOf(content), size: content.length }) as TreeEntry

/** Path → the content it leads to, and the name that carries it. */
function contents(store: Store, tree: Reference): Record<string, string> {
  checkoutTree(store, tree, join(scratch, String(count++))) // refuses a link that leads nowhere
  const found: Record<string, string> = {}
  for (const { path, entry } of walkTree(store, tree)) {
    if (entry.type !== 'f') continue
    const text = store.read(resolveFile(store, tree, path)!.ref!).toString()
    found[path.toString()] = entry.linkTo === undefined ? text : `${text} = ${entry.linkTo}`
  }
  return found
}

test('the first name of a file removed: the next one carries the content, the others follow it', () => {
  const store = memoryStore()
  const tree = linkedTree(store)
  const without = edit(store, tree, top => top.open(name('bin')).remove(name('a')))
  assert.deepEqual(contents(store, without), { 'bin/b': 'linked', 'lib/c': 'linked = bin/b', 'other/file': 'alone' })
  const folderGone = edit(store, tree, top => top.remove(name('bin')))
  assert.deepEqual(contents(store, folderGone), { 'lib/c': 'linked', 'other/file': 'alone' })
  const again = edit(store, without, top => top.open(name('bin')).remove(name('b')))
  assert.equal(
    again,
    edit(store, tree, top => {
      for (const text of ['a', 'b']) top.open(name('bin')).remove(name(text))
    }),
  )
})

test('the first name replaced: the other names keep what they had', () => {
  const store = memoryStore()
  const tree = linkedTree(store)
  const changed = edit(store, tree, top => top.open(name('bin')).set(file('a', 'new')))
  assert.deepEqual(contents(store, changed), {
    'bin/a': 'new',
    'bin/b': 'linked',
    'lib/c': 'linked = bin/b',
    'other/file': 'alone',
  })
  const asLink = edit(store, tree, top => {
    top.open(name('bin')).set({ name: name('a'), type: 'l', mode: 0o777, target: name('b') })
  })
  assert.equal(contents(store, asLink)['bin/b'], 'linked')
})

test('a further name replaced or removed: the others stay as they are', () => {
  const store = memoryStore()
  const tree = linkedTree(store)
  const changed = edit(store, tree, top => {
    top.open(name('bin')).set(file('b', 'new'))
  })
  assert.deepEqual(contents(store, changed), {
    'bin/a': 'linked',
    'bin/b': 'new',
    'lib/c': 'linked = bin/a',
    'other/file': 'alone',
  })
})

test('a new name that comes before all others carries the content for all', () => {
  const store = memoryStore()
  const tree = linkedTree(store)
  const changed = edit(store, tree, top => {
    top.set(file('a-first', 'linked'))
    top.open(name('bin')).set({ name: name('a'), type: 'f', mode: 0o644, linkTo: name('a-first') })
  })
  assert.deepEqual(contents(store, changed), {
    'a-first': 'linked',
    'bin/a': 'linked = a-first',
    'bin/b': 'linked = a-first',
    'lib/c': 'linked = a-first',
    'other/file': 'alone',
  })
})
