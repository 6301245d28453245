import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reference } from '../../src/core/mod.ts'
import { FOLD_LIMITS } from '../../src/lineage/dag-fold.ts'
import { archiveReaders, buildGraph, dagOf, drawDag, whenceAsker } from '../../src/lineage/mod.ts'
import { memoryStore } from '../../src/store/mod.ts'
import { debianHistory } from '../fakes/debian-history.ts'
import { historyBuilder, putStep } from '../fakes/history-builder.ts'
import { assertWellFormed } from '../fakes/well-formed.ts'

/** Processor time: what else the machine does plays no part. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

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
  const startedMs = cpuMs()
  const graph = buildGraph(store)
  const dag = dagOf(store, graph)
  const svg = await drawDag(dag)
  const tookMs = cpuMs() - startedMs
  assert.ok(dag.totals.steps + dag.totals.artifacts > 100_000)
  assert.ok(dag.nodes.length <= FOLD_LIMITS.maxSteps + FOLD_LIMITS.maxArtifacts, `${dag.nodes.length} boxes`)
  assert.ok(svg.length < 200_000, `${svg.length} bytes`)
  assertWellFormed(svg)
  assert.ok(tookMs < 20_000, `took ${Math.round(tookMs)} ms`)
  const grownMib = (process.memoryUsage().rss - before) / 1024 ** 2
  // Garbage that has not been collected yet counts too, and how much that is depends on the machine's load.
  assert.ok(grownMib < 700, `grew by ${Math.round(grownMib)} MiB`)
})

test('the full picture of a tree with 100,000 files shows each once and stays below 30 MB', async () => {
  const builder = historyBuilder()
  const files = Object.fromEntries(
    Array.from({ length: 100_000 }, (_, i) => [`usr/lib/part${i % 300}/file${i}`, `content ${i}`]),
  )
  builder.step({ command: ['make'], inputs: [], outputs: [['root', 'tree', builder.tree(files)]] })
  const svg = await drawDag(dagOf(builder.store, buildGraph(builder.store), { isFull: true }))
  assert.equal(svg.match(/<rect class="q/g)?.length, 100_000)
  assert.ok(svg.length < 30e6, `${svg.length} bytes`)
})

test('30,000 files of 200 packages each find their origin within ten seconds of processor time', async () => {
  const packages = Array.from({ length: 200 }, (_, p) => ({
    name: `package${p}`,
    version: '1.0-1',
    files: Object.fromEntries(
      Array.from({ length: 150 }, (_, i) => [`usr/lib/package${p}/file${i}`, `content of file ${i} in package ${p}\n`]),
    ),
  }))
  const { store, rootTree } = await debianHistory({ packages })
  const startedMs = cpuMs()
  let files = 0
  for await (const whence of whenceAsker(store, { tree: rootTree }, archiveReaders(store)).whenceAll()) {
    files++
    assert.ok(whence.isComplete, whence.path)
  }
  const tookMs = cpuMs() - startedMs
  assert.ok(files > 30_000, `${files} files`)
  assert.ok(tookMs < 10_000, `took ${Math.round(tookMs)} ms`)
})
