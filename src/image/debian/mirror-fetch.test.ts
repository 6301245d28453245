import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { isAslError, referenceOf, sha256 } from '../../core/mod.ts'
import { memoryStore, type Store } from '../../store/mod.ts'
import { type FetchArtifact, type MirrorFetchOptions, mirrorFetch } from './mod.ts'

const BASE = 'http://mirror.test/debian'

async function withMirror(
  listener: RequestListener,
  body: (fetch: FetchArtifact, store: Store, address: string) => Promise<void>,
  more: Partial<MirrorFetchOptions> = {},
): Promise<void> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mirrors/debian`
  const store = memoryStore()
  const mirrors = new Map([[BASE, address]])
  try {
    await body(mirrorFetch({ store, mirrors, scratchFolder: tmpdir(), retryDelayMs: 1, ...more }), store, address)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('what is fetched is in the store for every reader, under the logical URL', async () => {
  const paths: string[] = []
  await withMirror(
    (request, response) => {
      paths.push(request.url ?? '')
      response.end('hello')
    },
    async (fetch, store) => {
      const found = await fetch(`${BASE}/pool/h`)
      assert.equal(found?.reference, referenceOf('hello'))
      assert.equal(found?.sha256, sha256('hello'))
      assert.equal(store.read(referenceOf('hello')).toString(), 'hello')
      assert.deepEqual(paths, ['/mirrors/debian/pool/h'])
    },
  )
})

test('a missing file is undefined, any other refusal an error', async () => {
  await withMirror(
    (request, response) => {
      response.statusCode = request.url?.endsWith('missing') === true ? 404 : 403
      response.end()
    },
    async fetch => {
      assert.equal(await fetch(`${BASE}/missing`), undefined)
      await assert.rejects(
        fetch(`${BASE}/forbidden`),
        error => isAslError(error, 'NETWORK_UNREACHABLE') && /403/.test(error.message),
      )
    },
  )
})

test('a broken connection and a busy server are tried again, from the start', async () => {
  let requests = 0
  await withMirror(
    (_, response) => {
      requests++
      response.setHeader('content-length', '10')
      if (requests === 1) response.writeHead(503).end('0123456789')
      else if (requests === 2) {
        response.write('01234')
        setImmediate(() => response.destroy())
      } else response.end('0123456789')
    },
    async fetch => {
      assert.equal((await fetch(`${BASE}/x`))?.sizeBytes, 10)
      assert.equal(requests, 3)
    },
  )
})

test('a mirror that cannot be reached is said with its address and the reason', async () => {
  let dead = ''
  await withMirror(
    () => {},
    async (_, __, address) => {
      dead = address
    },
  )
  const fetch = mirrorFetch({
    store: memoryStore(),
    mirrors: new Map([[BASE, dead]]),
    scratchFolder: tmpdir(),
    retryDelayMs: 1,
  })
  await assert.rejects(fetch(`${BASE}/x`), error => {
    assert.ok(isAslError(error, 'NETWORK_UNREACHABLE'))
    assert.ok(error.message.includes(dead) && /ECONNREFUSED/.test(error.message), error.message)
    return true
  })
  await assert.rejects(fetch('http://elsewhere.test/x'), error => isAslError(error, 'CONFIG_INVALID'))
})

test('content over what was expected is not taken, content of any size in bounded memory is', async () => {
  const large = Buffer.alloc(40 << 20, 'large ')
  const expected = { sha256: sha256('hello'), sizeBytes: 5 }
  await withMirror(
    (_, response) => response.end('hello, and more'),
    async fetch => {
      await assert.rejects(fetch(`${BASE}/x`, expected), error => isAslError(error, 'LIMIT_EXCEEDED'))
    },
  )
  await withMirror(
    (_, response) => response.end(large),
    async (fetch, store) => {
      await assert.rejects(fetch(`${BASE}/x`, expected), error => isAslError(error, 'LIMIT_EXCEEDED'))
      assert.deepEqual([...store.references()], [])
      const found = await fetch(`${BASE}/x`)
      assert.equal(found?.reference, referenceOf(large))
    },
  )
})

test('what is known by its digest is not fetched', async () => {
  const store = memoryStore()
  const writer = store.openWriter()
  const reference = writer.put(Buffer.from('hello'))
  writer.commit()
  const fetch = mirrorFetch({
    store,
    mirrors: new Map(),
    scratchFolder: tmpdir(),
    known: digest => (digest === sha256('hello') ? reference : undefined),
  })
  assert.equal((await fetch(`${BASE}/x`, { sha256: sha256('hello'), sizeBytes: 5 }))?.reference, reference)
})
