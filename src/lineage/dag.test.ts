import assert from 'node:assert/strict'
import { test } from 'node:test'
import { debianHistory, OPENSSL } from '../../tests/fakes/debian-history.ts'
import { historyBuilder } from '../../tests/fakes/history-builder.ts'
import { assertWellFormed } from '../../tests/fakes/well-formed.ts'
import { FOLD_LIMITS } from './dag-fold.ts'
import { buildGraph, dagOf, drawDag } from './mod.ts'

const PACKAGES = Array.from({ length: 40 }, (_, i) => ({
  name: `package${i}`,
  version: '1.0-1',
  files: { [`usr/lib/package${i}`]: `content of package number ${i}\n` },
}))

test('downloads of one host that one step used are one box', async () => {
  const { store } = await debianHistory({ packages: [OPENSSL, ...PACKAGES] })
  const dag = dagOf(store, buildGraph(store))
  const packages = dag.nodes.filter(node => node.kind === 'package')
  assert.deepEqual(
    packages.map(node => [node.title, node.lines[0]]),
    [['41 packages', 'from mirror.internal']],
  )
})

test('every step and every artifact is in exactly one box', async () => {
  const { store } = await debianHistory({ packages: [OPENSSL, ...PACKAGES] })
  const graph = buildGraph(store)
  const refs = dagOf(store, graph).nodes.flatMap(node => node.refs)
  assert.equal(new Set(refs).size, refs.length)
  for (const step of graph.steps.values()) {
    assert.ok(refs.includes(step.ref))
    for (const { ref, role } of step.inputs) assert.ok(role === 'receipt' || refs.includes(ref), `${role} ${ref}`)
    for (const { ref } of step.outputs) assert.ok(refs.includes(ref))
  }
})

test('with a reference only what led to it is shown', async () => {
  const { store, receipts, rootTree } = await debianHistory()
  const dag = dagOf(store, buildGraph(store), { from: rootTree })
  const steps = dag.nodes.filter(node => node.kind === 'step').flatMap(node => node.refs)
  assert.ok(steps.includes(receipts.normalise) && steps.includes(receipts.stage0))
  assert.ok(!steps.includes(receipts.iso))
})

test('the full picture shows each file in the tree that brought it, once', async () => {
  const { store } = await debianHistory()
  const dag = dagOf(store, buildGraph(store), { isFull: true })
  const files = dag.nodes
    .filter(node => node.kind === 'tree')
    .flatMap(node => node.members?.flatMap(section => section.members.map(member => member.name)) ?? [])
  assert.equal(files.filter(name => name === '/usr/bin/openssl').length, 1)
  assert.equal(files.filter(name => name === '/etc/issue').length, 1)
})

test('the same history gives the same drawing', async () => {
  const { store } = await debianHistory()
  const draw = async (): Promise<string> => drawDag(dagOf(store, buildGraph(store)))
  assert.equal(await draw(), await draw())
})

const HOSTILE_NAMES = [
  '</title><script>alert(1)</script>',
  '"onload="alert(1)',
  "a'b&c]]>\u0000\u001b[31m\u202egnp.exe",
  '\ud800 lone surrogate',
  'javascript:alert(1)',
  `${'very-long-'.repeat(400)}name`,
  '(ノಠ益ಠ)ノ彡┻━┻',
]

test('hostile names stay text', async () => {
  const { store, blob, tree, step } = historyBuilder()
  const root = tree(
    Object.fromEntries(
      HOSTILE_NAMES.map((name, i) => [
        `${i}${Buffer.from(name).toString('latin1').replaceAll(/[/\0]/g, '_').slice(0, 200)}`,
        name,
      ]),
    ),
  )
  step({
    command: ['/bin/sh', '-c', '</style><svg onload="alert(1)">'],
    inputs: HOSTILE_NAMES.map(name => [name.toWellFormed(), 'download', blob(name)] as const),
    outputs: [['</text>', 'tree', root]],
    vars: { '</svg>': '</svg>' },
  })
  for (const isFull of [false, true]) {
    const svg = await drawDag(dagOf(store, buildGraph(store), { title: '</svg><script>', isFull }))
    assertWellFormed(svg)
    assert.doesNotMatch(svg, /<script|<svg onload|href="javascript/)
  }
})

test('only http and https names become links', async () => {
  const { store, blob, step } = historyBuilder()
  const hosts = ['javascript:alert(1)', 'data:text/html,x', 'https://a.internal/x.tgz', 'http://b.internal/y.tgz']
  for (const name of hosts) step({ command: ['use', name], inputs: [[name, 'download', blob(name)]] })
  const svg = await drawDag(dagOf(store, buildGraph(store)))
  const links = [...svg.matchAll(/href="([^"]*)"/g)].map(match => match[1]).sort()
  assert.deepEqual(links, ['http://b.internal/y.tgz', 'https://a.internal/x.tgz'])
})

test('more trees than boxes share boxes', () => {
  const { store, tree, step } = historyBuilder()
  for (let i = 0; i < 120; i++) {
    step({
      command: ['make', `${i}`],
      inputs: [['in', 'tree', tree({ in: `${i}` })]],
      outputs: [['out', 'tree', tree({ out: `${i}` })]],
    })
  }
  const dag = dagOf(store, buildGraph(store))
  assert.ok(dag.nodes.length <= FOLD_LIMITS.maxSteps + FOLD_LIMITS.maxArtifacts, `${dag.nodes.length} boxes`)
  assert.equal(dag.nodes.flatMap(node => node.refs).length, 360)
})

test('a chain of 5,000 different steps folds too, and circles do no harm', async () => {
  const { store, blob, step } = historyBuilder()
  const refs = Array.from({ length: 5001 }, (_, i) => blob(`state ${i}`))
  for (let i = 0; i < 5000; i++) {
    step({
      command: [`program${i}`],
      inputs: [['in', 'file', refs[i]!]],
      outputs: [['out', 'file', refs[i + 1]!]],
    })
  }
  step({ command: ['back'], inputs: [['in', 'file', refs[5000]!]], outputs: [['out', 'file', refs[0]!]] })
  const dag = dagOf(store, buildGraph(store))
  assert.equal(dag.totals.steps, 5001)
  assert.ok(dag.nodes.length <= FOLD_LIMITS.maxSteps + FOLD_LIMITS.maxArtifacts, `${dag.nodes.length} boxes`)
})
