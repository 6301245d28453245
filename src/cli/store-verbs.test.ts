/** The verbs of the store as a user runs them, and what they print with --json held against the published schemas. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fakeContext } from '../../tests/fakes/context.ts'
import { checkAgainst } from '../../tests/fakes/json-schema.ts'
import { referenceOf } from '../core/mod.ts'
import { runCommandLine } from './command-line.ts'
import { parseDuration } from './duration.ts'
import { VERBS } from './verbs.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-verbs-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0

/** Runs words against one store; gives what was printed. */
function newStore(): { root: string; asl: (...words: string[]) => Promise<string[]>; status: () => number } {
  const root = join(scratch, `store-${count++}`)
  let status = 0
  const asl = async (...words: string[]): Promise<string[]> => {
    const context = fakeContext({ env: { ASL_STORE: root }, cwd: scratch })
    status = await runCommandLine(context, words, VERBS)
    return context.printed
  }
  return { root, asl, status: () => status }
}

function sampleTree(): string {
  const root = join(scratch, `tree-${count++}`)
  mkdirSync(join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'bin/tool'), 'tool')
  chmodSync(join(root, 'bin/tool'), 0o4755)
  symlinkSync('tool', join(root, 'bin/alias'))
  writeFileSync(Buffer.concat([Buffer.from(`${root}/odd-`), Buffer.from([0xff])]), 'odd')
  writeFileSync(join(root, 'large'), Buffer.alloc(2 << 20, 'large'))
  return root
}

test('init-store makes a store with the folders for people, and init is the same verb', async () => {
  for (const verb of ['init-store', 'init']) {
    const { root, asl } = newStore()
    const [line] = await asl(verb, '--domain', 'example', '--json')
    checkAgainst('init-store', JSON.parse(line!))
    for (const folder of ['binaries', 'scripts', 'per', 'runs', 'blocks']) assert.ok(existsSync(join(root, folder)))
    await assert.rejects(asl(verb), { code: 'STORE_EXISTS' })
  }
})

test('put, ls, cat and get: what goes in comes out', async () => {
  const { asl } = newStore()
  await asl('init-store')
  const tree = sampleTree()
  const file = join(scratch, 'file')
  writeFileSync(file, 'content')
  const [printed] = await asl('put', '--json', tree, file)
  const { artifacts } = JSON.parse(printed!) as { artifacts: { ref: string; path: string; entries?: number }[] }
  checkAgainst('put', { artifacts })
  const [top, content] = artifacts.map(({ ref }) => ref)
  assert.equal(content, referenceOf('content'))
  assert.equal(artifacts[0]?.entries, 5)
  assert.deepEqual(await asl('put', tree), [`${top}  ${tree}`])

  for (const line of [...(await asl('ls', '--json')), ...(await asl('ls', top!, '--recursive', '--json'))]) {
    checkAgainst('ls', JSON.parse(line))
  }
  assert.equal((await asl('ls', '--kind', 'asl.tree')).length, 2)
  assert.equal((await asl('ls', '--kind', 'content')).length, 4)
  const lines = await asl('ls', top!, 'bin')
  assert.match(lines.find(line => line.endsWith('tool') && line.startsWith('-'))!, /^-rwsr-xr-x/)
  assert.ok(lines.some(line => line.endsWith('alias -> tool')))
  assert.ok((await asl('ls', top!)).some(line => line.endsWith('odd-\\xff')))

  assert.deepEqual(await asl('cat', content!), ['content'])
  assert.deepEqual(await asl('cat', top!, '/bin/tool'), ['tool'])
  assert.deepEqual(await asl('cat', content!.slice(4, 16)), ['content'], 'the short form that screens show')
  await assert.rejects(asl('cat', top!, 'bin'), { code: 'PATH_NOT_FOUND' })
  await assert.rejects(asl('cat', 'zz'), { code: 'REF_INVALID' })
  await assert.rejects(asl('cat', '0'.repeat(12)), { code: 'STORE_NOT_FOUND' })

  const [got] = await asl('get', top!, 'out', '--json')
  checkAgainst('get', JSON.parse(got!))
  assert.equal(readFileSync(join(scratch, 'out/large'), 'latin1').length, 2 << 20)
  checkAgainst('get', JSON.parse((await asl('get', '--json', '--path', 'bin/tool', top!, 'one'))[0]!))
  assert.equal(readFileSync(join(scratch, 'one'), 'utf8'), 'tool')
  await asl('get', '--path', 'bin', top!, 'folder')
  assert.deepEqual(readdirSync(join(scratch, 'folder')).sort(), ['alias', 'tool'])
  await assert.rejects(asl('get', top!, 'out'), { code: 'STORE_EXISTS' })
  await assert.rejects(asl('get', content!, 'no/such/folder'), { code: 'STORE_IO' })
})

test('put is all or nothing', async () => {
  const { asl } = newStore()
  await asl('init-store')
  const file = join(scratch, 'good')
  writeFileSync(file, 'good')
  await assert.rejects(asl('put', file, join(scratch, 'nowhere')), { code: 'PATH_NOT_FOUND' })
  assert.deepEqual(await asl('ls'), [])
  await assert.rejects(asl('put', '--mtime', 'clamp', file), { code: 'USAGE' })
})

test('log, snapshot, verify, check, gc, reindex on a whole store', async () => {
  const { root, asl, status } = newStore()
  await asl('init-store')
  const [line] = await asl('put', sampleTree())
  const top = line!.slice(0, 68)
  checkAgainst('snapshot', JSON.parse((await asl('snapshot', 'take', '--pin', 'first', '--json'))[0]!))
  await asl('snapshot', 'take')
  await asl('snapshot', 'unpin', '0')
  assert.equal((await asl('snapshot')).length, 2)
  for (const printed of await asl('snapshot', '--json')) checkAgainst('snapshot', JSON.parse(printed))
  checkAgainst('snapshot', JSON.parse((await asl('snapshot', 'expire', '--retention', '1d', '--json'))[0]!))
  await asl('snapshot', 'remove', '0')
  await asl('snapshot', 'pin', '1', '--pin', 'why')
  assert.match((await asl('snapshot'))[0]!, /pinned: why$/)
  await assert.rejects(asl('snapshot', 'remove', 'x'), { code: 'USAGE' })
  await assert.rejects(asl('snapshot', 'remove', '9'), { code: 'SNAPSHOT_NOT_FOUND' })

  for (const printed of await asl('log', '--json')) checkAgainst('log', JSON.parse(printed))
  assert.equal((await asl('log', '--from', '2', '--limit', '2')).length, 2)

  checkAgainst('verify', JSON.parse((await asl('verify', '--reachable', '--json', top))[0]!))
  assert.match((await asl('verify', top))[0]!, /^verified 1 artifacts/)

  checkAgainst('check', JSON.parse((await asl('check', '--json'))[0]!))
  assert.equal(status(), 0)
  checkAgainst('gc', JSON.parse((await asl('gc', '--grace', '0s', '--forget', top, '--json'))[0]!))
  await assert.rejects(asl('cat', top), { code: 'STORE_NOT_FOUND' })
  await assert.rejects(asl('gc', '--grace', 'soon'), { code: 'USAGE' })

  unlinkSync(join(root, 'index/shard-000/segment-0001.idx'))
  await assert.rejects(asl('cat', top), { code: 'INDEX_SEGMENT_MISSING' })
  await asl('check')
  assert.equal(status(), 4)
  const rebuilt = JSON.parse((await asl('reindex', '--json'))[0]!) as { rebuilt: number[] }
  checkAgainst('reindex', rebuilt)
  assert.deepEqual(rebuilt.rebuilt, [1])
  await asl('check')
  assert.equal(status(), 0)
})

test('check names what is lost, notes the damaged block, and putting the content again heals', async () => {
  const { root, asl, status } = newStore()
  await asl('init-store')
  const file = join(scratch, 'large-file')
  writeFileSync(file, Buffer.alloc(2 << 20, 'damaged soon'))
  const [line] = await asl('put', file)
  const ref = line!.slice(0, 68)
  const path = join(
    root,
    'blocks/sealed',
    (readdirSync(join(root, 'blocks/sealed'), { recursive: true }) as string[]).find(name => name.endsWith('.blk'))!,
  )
  chmodSync(path, 0o644)
  writeFileSync(path, Buffer.alloc(2 << 20, 'DAMAGED'))
  const lines = await asl('check')
  assert.equal(status(), 4)
  assert.match(lines[0]!, /^damage {2}STORE_BLOCK_INVALID/)
  assert.ok(lines.some(text => text.endsWith(`lost: ${ref}`)))
  checkAgainst('check', JSON.parse((await asl('check', '--json'))[0]!))
  await assert.rejects(asl('verify', ref), { code: 'STORE_INTEGRITY' })
  await asl('put', file)
  await asl('check')
  assert.equal(status(), 0)
  await asl('verify', ref)
})

test('without a store every verb says how to make one', async () => {
  const { asl } = newStore()
  for (const words of [['ls'], ['check'], ['log'], ['gc'], ['put', scratch], ['cat', referenceOf('x')]]) {
    await assert.rejects(asl(...words), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'STORE_NOT_FOUND')
      assert.match(error.hint ?? '', /init-store/)
      return true
    })
  }
})

test('parseDuration() takes a number and a unit', () => {
  assert.deepEqual(
    ['0s', '15m', '12h', '30d', '2w'].map(parseDuration),
    [0, 900_000, 43_200_000, 2_592_000_000, 1_209_600_000],
  )
  for (const text of ['', '5', 'd', '1.5h', '-1d', '1 d', '1y'])
    assert.throws(() => parseDuration(text), { code: 'USAGE' })
})
