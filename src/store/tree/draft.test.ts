import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KINDS, type Reference, TREE } from '../../core/mod.ts'
import type { Store, StoreWriter } from '../interface.ts'
import { memoryStore } from '../memory-store.ts'
import { type DraftFolder, openDraft } from './draft.ts'
import { resolvePath } from './walk.ts'

const name = (text: string): Buffer => Buffer.from(text)

function withStore(): { store: Store; tree: Reference } {
  const store = memoryStore()
  const writer = store.openWriter()
  const file = writer.put(name('x'))
  const inner = writer.put(
    TREE.encode({ entries: [{ name: name('f'), type: 'f', mode: 0o644, ref: file, size: 1 }] }),
    KINDS['asl.tree'],
  )
  const entries = ['a', 'b'].map(key => ({ name: name(key), type: 'd' as const, mode: 0o755, ref: inner }))
  const tree = writer.put(TREE.encode({ entries, top: { mode: 0o700 } }), KINDS['asl.tree'])
  writer.commit()
  return { store, tree }
}

function changed(store: Store, tree: Reference, change: (draft: DraftFolder, writer: StoreWriter) => void): Reference {
  const draft = openDraft(store, tree)
  const writer = store.openWriter()
  change(draft, writer)
  const ref = draft.put(writer)
  writer.commit()
  return ref
}

test('a draft that nobody changed is the tree it was opened from, also when its folders were opened', () => {
  const { store, tree } = withStore()
  assert.equal(
    changed(store, tree, draft => draft.open(name('a')).names()),
    tree,
  )
})

test('a changed file rewrites its path and nothing else; metadata of the top stays', () => {
  const { store, tree } = withStore()
  const ref = changed(store, tree, (draft, writer) =>
    draft.open(name('a')).set({ name: name('f'), type: 'f', mode: 0o644, ref: writer.put(name('yy')), size: 2 }),
  )
  assert.notEqual(ref, tree)
  assert.equal(resolvePath(store, ref, 'b')?.ref, resolvePath(store, tree, 'b')?.ref)
  assert.equal(resolvePath(store, ref, 'a/f')?.size, 2)
  assert.deepEqual(TREE.decode(store.read(ref)).top, { mode: 0o700 })
})

test('what is removed is gone, also a folder that was opened before', () => {
  const { store, tree } = withStore()
  const ref = changed(store, tree, draft => {
    draft.open(name('a')).remove(name('f'))
    draft.remove(name('a'))
  })
  assert.equal(resolvePath(store, ref, 'a'), undefined)
})

test('make() keeps a folder that is there, and describe() changes its metadata alone', () => {
  const { store, tree } = withStore()
  const ref = changed(store, tree, draft => {
    draft.make({ name: name('a'), type: 'd', mode: 0o700 })
    draft.describe({ name: name('b'), type: 'd', mode: 0o711 })
    draft.make({ name: name('c'), type: 'd', mode: 0o750 })
  })
  assert.equal(resolvePath(store, ref, 'a')?.mode, 0o755)
  assert.equal(resolvePath(store, ref, 'a/f')?.size, 1)
  assert.equal(resolvePath(store, ref, 'b')?.mode, 0o711)
  assert.equal(resolvePath(store, ref, 'b/f')?.size, 1)
  assert.equal(resolvePath(store, ref, 'c')?.mode, 0o750)
})
