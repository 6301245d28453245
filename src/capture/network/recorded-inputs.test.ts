import assert from 'node:assert/strict'
import { test } from 'node:test'
import { referenceOf, sha256 } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import { type Download, knownFrom } from './download.ts'
import { HEADERS_INPUT_NAME, knownResponses, recordedInputs } from './recorded-inputs.ts'

const download = (more: Partial<Download>): Download => ({
  method: 'GET',
  url: 'http://x/a',
  status: 200,
  headers: {},
  ref: referenceOf('a'),
  sizeBytes: 1,
  sha256: sha256('a'),
  upstreamUrl: undefined,
  upstreamHeaders: {},
  via: [],
  ...more,
})

const DOWNLOADS = [
  download({}),
  download({ url: 'http://x/none', status: 404, ref: referenceOf(''), sizeBytes: 0 }),
  download({ method: 'HEAD', headers: { 'content-length': '7' } }),
  download({ url: 'http://x/hop', status: 302, headers: { location: '/a', etag: '"é"' } }),
  download({ url: 'http://x/GET 200 y' }),
]

test('responses become inputs, and the inputs of a receipt give the same responses back', () => {
  const { inputs, headers } = recordedInputs(DOWNLOADS)
  const store = memoryStore()
  const writer = store.openWriter()
  assert.equal(writer.put(headers!), inputs.find(({ name }) => name === HEADERS_INPUT_NAME)?.ref)
  writer.commit()
  const known = knownResponses(inputs, store)
  const expected = [...knownFrom(DOWNLOADS)].map(([key, { sha256: _, ...response }]) => [key, response])
  assert.deepEqual([...known], expected)
})

test('the headers of several receipts are joined, and inputs of other roles are no responses', () => {
  const store = memoryStore()
  const writer = store.openWriter()
  const parts = DOWNLOADS.slice(2, 4).map(one => recordedInputs([one]))
  for (const { headers } of parts) writer.put(headers!)
  writer.commit()
  const known = knownResponses(
    [...parts.flatMap(({ inputs }) => inputs), { name: 'http://x/no', role: 'file', ref: referenceOf('') }],
    store,
  )
  assert.deepEqual(
    [...known.values()].map(({ headers }) => Object.keys(headers).sort()),
    [['content-length'], ['etag', 'location']],
  )
})

test('where no header was shown there is no input for them', () => {
  const { inputs, headers } = recordedInputs(DOWNLOADS.slice(0, 2))
  assert.deepEqual([headers, inputs.map(({ name }) => name)], [undefined, ['http://x/a', 'GET 404 http://x/none']])
})

test('an input of headers that does not hold what it should is refused', () => {
  const store = memoryStore()
  const writer = store.openWriter()
  const entries = ['[]\n', '{"a":1}\n', '{"a":{"b":1}}\n'].map(text => {
    const ref = writer.put(Buffer.from(text))
    return { name: HEADERS_INPUT_NAME, role: 'download' as const, ref }
  })
  writer.commit()
  for (const entry of entries) assert.throws(() => knownResponses([entry], store), { code: 'RECORD_INVALID' })
})
