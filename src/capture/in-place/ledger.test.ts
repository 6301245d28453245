import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHANGE, type LedgerSummary, openLedger } from './ledger.ts'
import { rawPath } from './raw-path.ts'

const P = rawPath

function plain(summary: LedgerSummary): Record<string, unknown> {
  return { ...summary, touched: Object.fromEntries(summary.touched) }
}

test('a file that the run made has no origin, and is no input when it is read later', () => {
  const ledger = openLedger()
  ledger.created(P('/d/new'), false)
  assert.equal(ledger.origin(P('/d/new')), undefined)
  assert.equal(ledger.origin(P('/d/old')), '/d/old')
})

test('everything in a folder that the run made is made by the run', () => {
  const ledger = openLedger()
  ledger.created(P('/d'), true)
  assert.equal(ledger.origin(P('/d/sub/file')), undefined)
})

test('a renamed file keeps the name that it had before the run', () => {
  const ledger = openLedger()
  ledger.renamed(P('/a'), P('/b'), false)
  ledger.renamed(P('/b'), P('/c'), false)
  assert.equal(ledger.origin(P('/c')), '/a')
  assert.deepEqual(plain(ledger.summary()), {
    touched: { '/a': CHANGE.name, '/b': CHANGE.name, '/c': CHANGE.name },
    lost: ['/a'],
    temporary: [],
    moved: [['/a', '/c']],
    made: [],
  })
})

test('what lies in a renamed folder is found under its old name', () => {
  const ledger = openLedger()
  ledger.touched(P('/old/changed'), 'content')
  ledger.created(P('/old/made'), false)
  ledger.renamed(P('/old'), P('/new'), true)
  assert.equal(ledger.origin(P('/new/sub/file')), '/old/sub/file')
  assert.equal(ledger.origin(P('/new/made')), undefined)
  const { touched, moved, made } = ledger.summary()
  assert.equal(new Map(touched).get(P('/new/changed')), CHANGE.content)
  assert.deepEqual(moved, [['/old', '/new']])
  assert.deepEqual(made, ['/new/made'])
})

test('a file that was renamed and renamed back has not changed', () => {
  const ledger = openLedger()
  ledger.renamed(P('/a'), P('/b'), false)
  ledger.renamed(P('/b'), P('/a'), false)
  assert.deepEqual(plain(ledger.summary()), {
    touched: { '/b': CHANGE.name },
    lost: [],
    temporary: [],
    moved: [],
    made: [],
  })
})

test('two files that were swapped are both changed, and each has the other name as origin', () => {
  const ledger = openLedger()
  ledger.exchanged(P('/a'), P('/b'))
  assert.equal(ledger.origin(P('/a')), '/b')
  assert.equal(ledger.origin(P('/b')), '/a')
})

test('a file that was made and removed is temporary, and made again it is not', () => {
  const ledger = openLedger()
  ledger.created(P('/t'), false)
  ledger.removed(P('/t'))
  ledger.created(P('/u'), false)
  ledger.removed(P('/u'))
  ledger.created(P('/u'), false)
  const { temporary, lost, made } = ledger.summary()
  assert.deepEqual({ temporary, lost, made }, { temporary: ['/t'], lost: [], made: ['/u'] })
})

test('a file from before the run that was removed is lost, whatever stands there afterwards', () => {
  const ledger = openLedger()
  ledger.removed(P('/a'))
  ledger.created(P('/a'), false)
  assert.deepEqual(ledger.summary().lost, ['/a'])
  assert.equal(ledger.origin(P('/a')), undefined)
})

test('changes go along with the file that was renamed', () => {
  const ledger = openLedger()
  ledger.touched(P('/a'), 'attributes')
  ledger.renamed(P('/a'), P('/b'), false)
  assert.deepEqual(Object.fromEntries(ledger.summary().touched), {
    '/a': CHANGE.name,
    '/b': CHANGE.name | CHANGE.attributes,
  })
})
