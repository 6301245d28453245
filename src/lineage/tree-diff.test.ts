import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Files, historyBuilder } from '../../tests/fakes/history-builder.ts'
import { countDifferences, diffTrees } from './tree-diff.ts'
import { treeReader } from './tree-reader.ts'

function compare(a: Files, b: Files) {
  const { store, tree } = historyBuilder()
  const [left, right] = [tree(a), tree(b)]
  const trees = treeReader(store)
  return [...diffTrees({ trees, tree: left }, { trees, tree: right })]
}

function shown(a: Files, b: Files): readonly string[] {
  return compare(a, b).map(({ kind, path, fields }) => `${kind} ${path} ${fields.join('+')}`.trim())
}

test('added, removed and changed paths are told apart, in order of their bytes', () => {
  assert.deepEqual(shown({ a: '1', b: '1', 'd/x': '1' }, { b: '2', c: '1', 'd/x': '1' }), [
    'removed /a',
    'changed /b content',
    'added /c',
  ])
})

test('a folder that only one side has is reported with all that is in it', () => {
  assert.deepEqual(shown({}, { 'd/e/f': '1' }), ['added /d', 'added /d/e', 'added /d/e/f'])
})

test('metadata, links and types differ by name', () => {
  assert.deepEqual(
    shown({ a: { content: 'x', mode: 0o644, mtime: 1 } }, { a: { content: 'x', mode: 0o755, mtime: 2 } }),
    ['changed /a mode+mtime'],
  )
  assert.deepEqual(shown({ a: { link: 'x' } }, { a: { link: 'y' } }), ['changed /a content'])
  assert.deepEqual(shown({ a: { content: 'x', mode: 0o777 } }, { a: { link: 'x' } }), ['changed /a type'])
})

test('a hard link to other content differs like the content', () => {
  assert.deepEqual(shown({ a: '1', b: { sameAs: 'a' } }, { a: '2', b: { sameAs: 'a' } }), [
    'changed /a content',
    'changed /b content',
  ])
})

test('times alone do not count as a change', () => {
  const differences = compare({ a: { content: 'x', mtime: 1 }, b: '1' }, { a: { content: 'x', mtime: 2 }, b: '2' })
  assert.deepEqual(countDifferences(differences), { added: 0, removed: 0, changed: 1 })
})
