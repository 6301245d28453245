import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KINDS, type Reference, TREE, type TreeEntry } from '../core/mod.ts'
import { memoryStore, openDraft, type Store, walkTree } from '../store/mod.ts'
import { mergeTree } from './tree-merge.ts'

type Shape = { readonly [name: string]: string | Shape }

/** A tree from a shape: text is a file, text that starts with `->` a link. */
function put(store: Store, shape: Shape): Reference {
  const writer = store.openWriter()
  const folder = (members: Shape): Reference => {
    const entries = Object.entries(members).map(([key, value]): TreeEntry => {
      const name = Buffer.from(key)
      if (typeof value !== 'string') return { name, type: 'd', mode: 0o755, ref: folder(value) }
      if (value.startsWith('->')) return { name, type: 'l', mode: 0o777, target: Buffer.from(value.slice(2)) }
      return { name, type: 'f', mode: 0o644, ref: writer.put(Buffer.from(value)), size: value.length }
    })
    return writer.put(TREE.encode({ entries }), KINDS['asl.tree'])
  }
  const ref = folder(shape)
  writer.commit()
  return ref
}

function merged(base: Shape, over: Shape): string[] {
  const store = memoryStore()
  const draft = openDraft(store, put(store, base))
  mergeTree(store, draft, put(store, over))
  const writer = store.openWriter()
  const ref = draft.put(writer)
  writer.commit()
  return [...walkTree(store, ref)].map(({ path, entry }) => `${entry.type} ${path.toString()}`)
}

test('a folder over a link to a folder goes through the link, and the link stays', () => {
  assert.deepEqual(merged({ bin: '->usr/bin', usr: { bin: { sh: 'x' } } }, { bin: { tool: 'y' } }), [
    'l bin',
    'd usr',
    'd usr/bin',
    'f usr/bin/sh',
    'f usr/bin/tool',
  ])
})

test('folders are united, files replaced, keep files left out', () => {
  assert.deepEqual(merged({ etc: { a: '1', b: '1' } }, { etc: { b: '2', '.gitkeep': '' }, var: { '.gitkeep': '' } }), [
    'd etc',
    'f etc/a',
    'f etc/b',
    'd var',
  ])
})

test('a folder never replaces a file, a file never a folder', () => {
  assert.throws(() => merged({ a: 'file' }, { a: { b: 'x' } }), { code: 'TREE_INVALID' })
  assert.throws(() => merged({ a: { b: 'x' } }, { a: 'file' }), { code: 'TREE_INVALID' })
})

test('a link that leads out of the tree, to a link or nowhere is not followed', () => {
  for (const target of ['../etc', 'link2', 'nowhere', '/../etc']) {
    assert.throws(() => merged({ bin: `->${target}`, link2: '->usr', usr: {}, etc: {} }, { bin: { x: 'y' } }), {
      code: 'TREE_INVALID',
    })
  }
})
