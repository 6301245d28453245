/** The verbs that ask about a history: whence, dag, diff, export. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Compile } from 'typebox/schema'
import { fakeContext } from '../../../tests/fakes/context.ts'
import { debianHistory, OPENSSL } from '../../../tests/fakes/debian-history.ts'
import { putTree } from '../../../tests/fakes/history-builder.ts'
import { assertWellFormed } from '../../../tests/fakes/well-formed.ts'
import { isAslError } from '../../core/mod.ts'
import { initStore } from '../../store/mod.ts'
import { runCommandLine } from '../command-line.ts'
import { VERBS } from '../verbs.ts'

const folder = mkdtempSync(join(tmpdir(), 'asl-lineage-'))
after(() => rmSync(folder, { recursive: true }))
const storePath = join(folder, 'store')
const store = initStore(storePath)
const history = await debianHistory({ store })
const newer = await debianHistory({ store, packages: [{ ...OPENSSL, version: '3.5.8-1' }] })
const writer = store.openWriter()
const lone = putTree(writer, { 'etc/stray': 'a file that no step has made' })
writer.commit()
store.close()

async function asl(...words: readonly string[]): Promise<{ status: number; out: string; said: string }> {
  const context = fakeContext({ env: { ASL_STORE: storePath }, cwd: folder })
  const status = await runCommandLine(context, words, VERBS)
  return { status, out: context.printed.join('\n'), said: context.said.join('\n') }
}

function checkAgainst(name: string, value: unknown): void {
  const path = join(fakeContext().projectRoot, 'docs', 'reference', 'schemas', `${name}.json`)
  const [isValid, errors] = Compile(JSON.parse(readFileSync(path, 'utf8')) as object).Errors(value)
  assert.deepEqual(isValid ? [] : errors, [])
}

test('asl whence prints the chain, or JSON of the published form, and draws it', async () => {
  const { status, out } = await asl('whence', history.rootTree, '/bin/openssl', '--svg', 'chain.svg')
  assert.equal(status, 0)
  for (const kind of ['package', 'index', 'release', 'key']) assert.match(out, new RegExp(`← ${kind} `))
  assertWellFormed(readFileSync(join(folder, 'chain.svg'), 'utf8'))
  const json = JSON.parse((await asl('whence', history.rootTree, '/bin/openssl', '--json')).out)
  checkAgainst('whence', json)
  assert.throws(() => checkAgainst('whence', { ...json, links: [{ kind: 'step' }] }))
})

test('asl whence --all lists every regular file, and its status says whether each has an origin', async () => {
  const { status, out, said } = await asl('whence', history.rootTree, '--all')
  assert.equal(status, 0, said)
  assert.match(out, /^\/usr\/bin\/openssl\tpackage openssl 3\.5\.7/m)
  assert.match(out, /^\/etc\/asl\/asl\.conf\toverlay overlays\/auth-host\/etc\/asl\/asl\.conf$/m)
  for (const line of (await asl('whence', history.rootTree, '--all', '--json')).out.split('\n')) {
    checkAgainst('whence', JSON.parse(line))
  }
  assert.equal((await asl('whence', lone, '--all')).status, 11)
})

test('asl whence takes a receipt with one output tree, and refuses one without', async () => {
  const { out } = await asl('whence', history.receipts.overlay, '/etc/asl/asl.conf')
  assert.match(out, /← overlay /)
  await assert.rejects(asl('whence', history.receipts.iso, '/etc/issue'), error => isAslError(error, 'USAGE'))
  await assert.rejects(asl('whence', history.rootTree), error => isAslError(error, 'USAGE'))
})

test('asl dag writes a picture, DOT, or JSON of the published form', async () => {
  await asl('dag', '--out', 'dag.svg', '--from', history.image)
  assertWellFormed(readFileSync(join(folder, 'dag.svg'), 'utf8'))
  assert.match((await asl('dag', '--dot')).out, /^digraph lineage \{\n/)
  const graph = JSON.parse((await asl('dag', '--json')).out)
  checkAgainst('graph', graph)
  assert.ok(graph.nodes.some((node: { ref: string }) => node.ref === history.image))
  assert.throws(() => checkAgainst('graph', { ...graph, nodes: [{}] }))
})

test('asl diff names the cause, has a published JSON form, and tells equal from different by its status', async () => {
  const differs = await asl('diff', history.rootTree, newer.rootTree)
  assert.equal(differs.status, 11)
  assert.match(differs.out, /openssl_3\.5\.8-1_amd64\.deb/)
  checkAgainst('diff', JSON.parse((await asl('diff', history.rootTree, newer.rootTree, '--json')).out))
  assert.equal((await asl('diff', history.rootTree, history.rootTree)).status, 0)
  const receipts = await asl('diff', history.receipts.bootstrap, newer.receipts.bootstrap, '--json')
  assert.equal(receipts.status, 11)
  checkAgainst('diff', JSON.parse(receipts.out))
})

test('asl export writes each format, and refuses others by naming those it has', async () => {
  for (const format of ['cyclonedx', 'spdx', 'spdx3']) {
    JSON.parse((await asl('export', history.rootTree, '--format', format)).out)
  }
  await asl('export', history.rootTree, '--format', 'in-toto', '--out', 'provenance.jsonl')
  for (const line of readFileSync(join(folder, 'provenance.jsonl'), 'utf8').trimEnd().split('\n')) JSON.parse(line)
  await assert.rejects(asl('export', history.rootTree, '--format', 'excel'), error => isAslError(error, 'USAGE'))
})
