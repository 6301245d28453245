import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reference } from '../../src/core/mod.ts'
import { FOLD_LIMITS } from '../../src/lineage/dag-fold.ts'
import { buildGraph, dagOf, drawDag } from '../../src/lineage/mod.ts'
import { memoryStore } from '../../src/store/mod.ts'
import { putStep } from '../fakes/history-builder.ts'
import { assertWellFormed } from '../fakes/well-formed.ts'

/** Many steps of a compile: each reads its own source and a shared header, and makes an object. */
function compileHistory(count: number) {
  const store = memoryStore()
  const writer = store.openWriter()
  const header = writer.put(Buffer.from('#pragma once'))
  const objects: Reference[] = []
  for (let i = 0; i < count; i++) {
    const source = writer.put(Buffer.from(`int f${i};`))
    const object = writer.put(Buffer.from(`object ${i}`))
    objects.push(object)
    putStep(writer, store, {
      command: ['cc', '-c', `f${i}.c`],
      inputs: [
        [`f${i}.c`, 'file', source],
        ['all.h', 'file', header],
      ],
      outputs: [[`f${i}.o`, 'file', object]],
    })
  }
  putStep(writer, store, {
    command: ['ld', '-o', 'program'],
    inputs: objects.map((object, i) => [`f${i}.o`, 'file', object] as const),
    outputs: [['program', 'image', writer.put(Buffer.from('program'))]],
  })
  writer.commit()
  return store
}

test('a history of 100,000 nodes folds to a picture of a few boxes, in seconds and bounded memory', async () => {
  const store = compileHistory(33_333)
  const before = process.memoryUsage().rss
  const startedMs = performance.now()
  const graph = buildGraph(store)
  const dag = dagOf(store, graph)
  const svg = await drawDag(dag)
  const tookMs = performance.now() - startedMs
  assert.ok(dag.totals.steps + dag.totals.artifacts > 100_000)
  assert.ok(dag.nodes.length <= FOLD_LIMITS.maxSteps + FOLD_LIMITS.maxArtifacts, `${dag.nodes.length} boxes`)
  assert.ok(svg.length < 200_000, `${svg.length} bytes`)
  assertWellFormed(svg)
  assert.ok(tookMs < 20_000, `took ${Math.round(tookMs)} ms`)
  const grownMib = (process.memoryUsage().rss - before) / 1024 ** 2
  assert.ok(grownMib < 400, `grew by ${Math.round(grownMib)} MiB`)
})
