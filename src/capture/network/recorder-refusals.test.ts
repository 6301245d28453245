/** What a step may not do, and what a hostile one tries. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startRecorder } from '../../../tests/fakes/recorder.ts'
import { startWebServer, type WebServer } from '../../../tests/fakes/web-server.ts'

let web: WebServer
before(async () => {
  web = await startWebServer({ '/a': 'alpha' })
})
after(() => web.close())

const open = { mayBeLocal: () => true }

test('other methods are refused with host and port, and the connection ends', async () => {
  const { ask, close, raw } = await startRecorder({ policy: open })
  const asked = web.requests.length
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    const { status, body, headers } = await ask(`${web.base}/a`, {
      method,
      headers: { 'content-length': '1' },
      body: 'x',
    })
    assert.deepEqual([status, headers.connection], [403, 'close'])
    assert.match(String(body), new RegExp(`${method} 127\\.0\\.0\\.1:${web.port}`))
  }
  for (const header of ['expect: 100-continue\r\n', '']) {
    const answer = await raw(`POST ${web.base}/a HTTP/1.1\r\nhost: x\r\n${header}content-length: 9\r\n\r\n`)
    assert.match(answer, /^HTTP\/1.1 403/)
  }
  assert.equal(web.requests.length, asked)
  const { refusals, completeness } = await close()
  assert.equal(refusals.length, 8)
  assert.equal(completeness.state, 'complete')
})

test('a declared request is passed on with its body, counted, and makes the record partial; a replay misses it', async () => {
  web.set('/submit', (request, response) => {
    let body = ''
    request.on('data', piece => (body += piece))
    request.on('end', () => response.writeHead(201, { 'x-own': '1' }).end(`got ${body}`))
  })
  const policy = { ...open, isForwarded: (method: string, url: URL) => method === 'POST' && url.pathname === '/submit' }
  const { ask, close, store } = await startRecorder({ policy })
  const answer = await ask(`${web.base}/submit`, { method: 'POST', body: 'form' })
  assert.deepEqual([answer.status, answer.headers['x-own'], String(answer.body)], [201, '1', 'got form'])
  assert.equal((await ask(`${web.base}/submit`, { method: 'PUT', body: 'form' })).status, 403)
  const { opaqueTraffic, completeness } = await close()
  assert.deepEqual(opaqueTraffic, [
    { kind: 'request', method: 'POST', host: '127.0.0.1', port: web.port, sentBytes: 4, receivedBytes: 8 },
  ])
  assert.deepEqual(completeness.reasons, ['request-opaque'])
  const replay = await startRecorder({ mode: 'replay', store, policy })
  assert.equal((await replay.ask(`${web.base}/submit`, { method: 'POST', body: 'form' })).status, 504)
  assert.deepEqual(
    (await replay.close()).findings.map(({ code }) => code),
    ['REPLAY_INPUT_MISSING'],
  )
})

test('what the policy does not allow is refused, in a record as in its replay', async () => {
  const policy = { ...open, allow: (url: URL) => url.pathname !== '/a' }
  for (const mode of ['record', 'replay'] as const) {
    const { ask, close } = await startRecorder({ mode, policy })
    const { status, body } = await ask(`${web.base}/a`)
    assert.equal(status, 403)
    assert.match(String(body), new RegExp(`127\\.0\\.0\\.1:${web.port}`))
    const { refusals, findings } = await close()
    assert.deepEqual([refusals.length, findings], [1, []])
  }
})

test('the build machine is out of reach: by address, by another spelling of it, and by a name that leads there', async () => {
  const { ask, close } = await startRecorder({})
  const asked = web.requests.length
  for (const host of [
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '0.0.0.0',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    '169.254.169.254',
  ]) {
    assert.deepEqual([host, (await ask(`http://${host}:${web.port}/a`)).status], [host, 403])
  }
  assert.equal(web.requests.length, asked)
  assert.equal((await close()).refusals.length >= 8, true)
})

test('below a logical host only what is mapped exists, and no path climbs out of a mirror', async () => {
  const { ask, raw, close } = await startRecorder({
    mirrors: [{ logical: 'http://site.internal/sub/', upstream: `${web.base}/sub/` }],
  })
  const asked = web.requests.length
  assert.equal((await ask('http://site.internal/a')).status, 403)
  for (const path of ['/sub/../a', '/sub/%2e%2e/a', '/sub/x/..%2f../../a', '/sub\\..\\a']) {
    const answer = await raw(`GET http://site.internal${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    assert.doesNotMatch(answer, /alpha/, path)
  }
  assert.deepEqual(
    web.requests.slice(asked).filter(line => !line.startsWith('GET /sub/')),
    [],
  )
  await close()
})

for (const [what, bytes, status] of [
  ['a request to this server itself', 'GET /a HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ['another protocol in the URL', 'GET ftp://x/a HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ['a URL that is none', 'GET http://[/ HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ['a URL of 10 kB', `GET http://x/${'a'.repeat(10_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 400],
  ['headers of 100 kB', `GET http://x/ HTTP/1.1\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`, 431],
  ['a GET with a body', 'GET http://x/ HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc', 400],
  ['two sizes', 'GET http://x/ HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 400],
  [
    'a size and chunks',
    'GET http://x/ HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['another protocol', 'git-upload-pack /x\0host=y\0', 400],
  ['a TLS greeting without CONNECT', Buffer.from('160301020001000', 'hex'), 400],
] as const) {
  test(`a client that sends ${what} is told so, and the next one is served`, async () => {
    const { ask, raw, close } = await startRecorder({ policy: open })
    assert.match(await raw(bytes), new RegExp(`^HTTP/1\\.1 ${status} .*asl: `, 's'))
    assert.equal(String((await ask(`${web.base}/a`)).body), 'alpha')
    assert.equal((await close()).refusals.length, 1)
  })
}

test('garbage behind a request is not answered into the response that is on its way', async () => {
  const asked = Promise.withResolvers<void>()
  web.set('/held', (_request, response) => {
    response.setHeader('content-length', 200)
    response.write('begin', () => asked.resolve())
  })
  const { raw, close } = await startRecorder({ policy: open })
  const answer = await raw(`GET ${web.base}/held HTTP/1.1\r\nhost: x\r\n\r\n\0garbage\r\n\r\n`)
  await asked.promise
  assert.doesNotMatch(answer, /this is an HTTP proxy/)
  await close()
})
