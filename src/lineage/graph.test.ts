import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyBuilder } from '../../tests/fakes/history-builder.ts'
import { putRun } from '../capture/mod.ts'
import {
  decodeEdge,
  decodeReceipt,
  EDGE_TYPES,
  type Edge,
  encodeEdge,
  isAslError,
  type Reference,
  TAG_EDGE,
  TAG_RECEIPT,
} from '../core/mod.ts'
import { memoryStore, type Store } from '../store/mod.ts'
import { buildGraph } from './mod.ts'
import { stepName } from './step-name.ts'

/** Two steps, one after the other. */
function smallHistory() {
  const { store, blob, step } = historyBuilder()
  const [source, object, program] = [blob('int main'), blob('object'), blob('program')]
  const compile = step({ command: ['cc'], inputs: [['a.c', 'file', source]], outputs: [['a.o', 'file', object]] })
  const link = step({ command: ['ld'], inputs: [['a.o', 'file', object]], outputs: [['a', 'file', program]] })
  return { store, source, object, program, compile, link }
}

/** Everything of a store but what is left out. */
function without(store: Store, isLeftOut: (ref: Reference) => boolean): Store {
  const copy = memoryStore()
  const writer = copy.openWriter()
  for (const ref of store.references()) {
    if (!isLeftOut(ref)) writer.put(store.read(ref), store.tryStat(ref)?.typeTag)
  }
  writer.commit()
  return copy
}

function put(store: Store, bytes: Uint8Array, tag: typeof TAG_EDGE): Reference {
  const writer = store.openWriter()
  const ref = writer.put(bytes, tag)
  writer.commit()
  return ref
}

test('an artifact leads to the steps that made it and to those that used it', () => {
  const { store, source, object, program, compile, link } = smallHistory()
  const graph = buildGraph(store)
  const refs = (steps: readonly { readonly ref: Reference }[]) => steps.map(step => step.ref)
  assert.deepEqual(refs(graph.producersOf(object)), [compile])
  assert.deepEqual(refs(graph.consumersOf(object)), [link])
  assert.deepEqual(refs(graph.producersOf(source)), [])
  assert.deepEqual(refs(graph.consumersOf(program)), [])
  assert.deepEqual(graph.findings, [])
})

test('a step that ran in a tree used it', () => {
  const { store, blob, tree, step } = historyBuilder()
  const tools = tree({ 'usr/bin/cc': 'cc' })
  const ref = step({ command: ['cc'], root: tools, outputs: [['a.o', 'file', blob('object')]] })
  assert.deepEqual(
    buildGraph(store)
      .consumersOf(tools)
      .map(found => found.ref),
    [ref],
  )
})

test('a receipt without edges is a finding, and its manifests stand in', () => {
  const { store, object, compile } = smallHistory()
  const bare = without(store, ref => store.tryStat(ref)?.typeTag === TAG_EDGE)
  const graph = buildGraph(bare)
  assert.deepEqual(
    graph.findings.map(finding => finding.kind),
    ['receipt-without-edges', 'receipt-without-edges'],
  )
  assert.equal(graph.producersOf(object)[0]?.ref, compile)
})

test('an edge without its receipt is a finding, and the edge still connects', () => {
  const { store, object, compile } = smallHistory()
  const graph = buildGraph(without(store, ref => ref === compile))
  assert.deepEqual(
    graph.findings.map(({ kind, ref }) => [kind, ref]),
    [['edge-without-receipt', compile]],
  )
  assert.equal(graph.producersOf(object)[0]?.ref, compile)
})

test('an edge that says other than the manifest is a finding, and the manifest holds', () => {
  const { store, source, program, compile } = smallHistory()
  const lie: Edge = { type: EDGE_TYPES.PRODUCES, from: [compile], to: [program], payload: compile }
  put(store, encodeEdge(lie), TAG_EDGE)
  const graph = buildGraph(store)
  assert.deepEqual(
    graph.findings.map(({ kind, ref }) => [kind, ref]),
    [['edge-disagrees', compile]],
  )
  assert.ok(!graph.producersOf(program).some(step => step.ref === compile))
  assert.equal(graph.consumersOf(source)[0]?.ref, compile)
})

test('damaged edges and receipts are findings that name them', () => {
  const { store } = smallHistory()
  const edge = put(store, Buffer.from('no edge'), TAG_EDGE)
  const receipt = put(store, Buffer.from('no receipt'), TAG_RECEIPT)
  const found = buildGraph(store).findings.map(({ kind, ref }) => [kind, ref])
  assert.deepEqual(found, [
    ['edge-invalid', edge],
    ['receipt-invalid', receipt],
  ])
})

test('a receipt whose manifest is missing is a finding, and the edges stand in', () => {
  const { store, object, compile } = smallHistory()
  const manifest = decodeReceipt(store.read(compile)).inputManifestRef
  const graph = buildGraph(without(store, ref => ref === manifest))
  assert.deepEqual(
    graph.findings.map(({ kind, ref }) => [kind, ref]),
    [['receipt-invalid', compile]],
  )
  assert.equal(graph.producersOf(object)[0]?.ref, compile)
})

test('an unknown edge type is kept', () => {
  const { store, source, program } = smallHistory()
  const edge: Edge = { type: 0x12345678, from: [source], to: [program], payload: source }
  const ref = put(store, encodeEdge(edge), TAG_EDGE)
  assert.deepEqual(buildGraph(store).relations, [decodeEdge(store.read(ref))])
})

test('a run half gives its step a name, whatever an edge says', () => {
  const { store, compile, link } = smallHistory()
  const writer = store.openWriter()
  const run = putRun(writer, compile, decodeReceipt(store.read(compile)), {
    startedAt: 1_800_000_000,
    completedAt: 1_800_000_001,
    runId: Buffer.alloc(16),
    fingerprint: {
      host: 'h',
      kernel: 'k',
      arch: 'amd64',
      cpuCount: 1,
      memoryKib: 1,
      runtime: 'r',
      sandbox: 's',
      tools: {},
    },
    limits: { cpuMs: 1, wallMs: 1, maxRssKib: 1, ioReads: 0, ioWrites: 0 },
    determinismLevel: 2,
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
    details: { step: 'compile a.c' },
  })
  writer.commit()
  put(store, encodeEdge({ type: EDGE_TYPES.RUN_OF, from: [run], to: [link], payload: run }), TAG_EDGE)
  const graph = buildGraph(store)
  assert.deepEqual(graph.runsOf(compile), [run])
  assert.deepEqual(graph.runsOf(link), [])
  assert.equal(stepName(graph.step(compile)), 'compile a.c')
})

test('a graph beyond the limit is refused before it fills the memory', () => {
  const { store } = smallHistory()
  assert.throws(
    () => buildGraph(store, { maxEntries: 5 }),
    error => isAslError(error, 'LIMIT_EXCEEDED'),
  )
})

test('asking for a receipt that is not there is an error that names it', () => {
  const { store, source } = smallHistory()
  assert.throws(
    () => buildGraph(store).step(source),
    error => isAslError(error, 'RECEIPT_NOT_FOUND'),
  )
})
