import assert from 'node:assert/strict'
import { test } from 'node:test'
import { debBytes, type TarMember } from '../../../tests/fakes/archive-builder.ts'
import { isAslError, referenceOf } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import { decodeDebIndex, encodeDebIndex, indexDeb, indexDebs } from './mod.ts'

const DATA: readonly TarMember[] = [
  { path: './usr/bin/', flag: '5' },
  { path: './usr/bin/tool', content: 'elf', mode: 0o755 },
  { path: './usr/bin/further', flag: '1', link: './usr/bin/tool' },
  { path: './usr/bin/link', flag: '2', link: 'tool' },
  { path: Buffer.concat([Buffer.from('./100%'), Buffer.from([0xff, 0x0a])]), content: '' },
]

test('indexDeb() lists regular files and their further names with references of the contents', async () => {
  const index = await indexDeb([debBytes({ data: DATA, compression: 'zst' })], 'sample.deb')
  assert.deepEqual([index.package, index.version, index.architecture], ['sample', '1.0-1', 'amd64'])
  assert.deepEqual(
    index.files.map(file => [file.path, file.reference, file.sizeBytes, file.mode]),
    [
      ['100%\xff\n', referenceOf(''), 0, 0o644],
      ['usr/bin/further', referenceOf('elf'), 3, 0o755],
      ['usr/bin/tool', referenceOf('elf'), 3, 0o755],
    ],
  )
})

test('an index survives encoding, whatever bytes are in its names', async () => {
  const index = await indexDeb([debBytes({ data: DATA })], 'sample.deb')
  const bytes = encodeDebIndex(index)
  assert.deepEqual(decodeDebIndex(bytes), index)
  assert.match(bytes.toString(), /100%25%ff%0a/)
  const broken = Buffer.from(bytes.toString().replace('"v":1', '"v":9'))
  assert.throws(
    () => decodeDebIndex(broken),
    error => isAslError(error, 'RECORD_INVALID'),
  )
})

function storeOf(packages: readonly Buffer[]) {
  const store = memoryStore()
  const writer = store.openWriter()
  const debs = packages.map((bytes, i) => ({ name: `p${i}.deb`, package: `p${i}`, reference: writer.put(bytes) }))
  writer.commit()
  return { store, debs }
}

test('indexDebs() answers in the order asked, on several threads as on one', async () => {
  const packages = Array.from({ length: 9 }, (_, i) =>
    debBytes({ control: { Package: `p${i}` }, data: [{ path: `./f${i}`, content: 'x'.repeat(i * 50_000) }] }),
  )
  const { store, debs } = storeOf(packages)
  for (const threads of [1, 3]) {
    const results = await Array.fromAsync(indexDebs(debs, { store, threads }))
    assert.deepEqual(
      results.map(([deb, index]) => [deb.package, index.package, index.files[0]?.path]),
      debs.map((deb, i) => [deb.package, deb.package, `f${i}`]),
    )
  }
})

test('a package that cannot be read is an error with its code, when its turn comes', async () => {
  const { store, debs } = storeOf([debBytes({}), Buffer.from('no package'), debBytes({ data: [{ path: '/abs' }] })])
  const seen: string[] = []
  const all = async () => {
    for await (const [deb] of indexDebs(debs, { store, threads: 2 })) seen.push(deb.name)
  }
  await assert.rejects(all(), error => isAslError(error, 'FORMAT_INVALID') && /p1\.deb/.test(error.message))
  assert.deepEqual(seen, ['p0.deb'])
  const [, , hostile] = debs
  await assert.rejects(Array.fromAsync(indexDebs([hostile!], { store, threads: 1 })), error =>
    isAslError(error, 'ARCHIVE_HOSTILE'),
  )
})
