/** What goes wrong upstream, in the step, and on this machine; and that none of it leaves a wrong record behind. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import { startRecorder } from '../../../tests/fakes/recorder.ts'
import { startRawServer, startWebServer, type WebServer } from '../../../tests/fakes/web-server.ts'
import { AslError } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import { knownFrom } from './download.ts'
import { keepIn } from './keeper.ts'

let web: WebServer
before(async () => {
  web = await startWebServer({ '/a': 'alpha' })
})
after(() => web.close())

const open = { mayBeLocal: () => true }

/** A page that gives its bytes in full only at the attempt after these. */
function truncatedFirst(attempts: readonly string[], whole: string, size = whole.length) {
  let attempt = 0
  return (_request: IncomingMessage, response: ServerResponse): void => {
    const part = attempts[attempt++]
    response.setHeader('content-length', size)
    if (part === undefined) response.end(whole)
    else response.write(part, () => response.destroy())
  }
}

test('a truncated body is fetched again, and the client sees one whole body', async () => {
  web.set('/cut', truncatedFirst(['', 'abc', 'abcde'], 'abcdefgh'))
  const { ask, close } = await startRecorder({ policy: open, limits: { attempts: 4 } })
  assert.equal(String((await ask(`${web.base}/cut`)).body), 'abcdefgh')
  const { downloads, findings, completeness } = await close()
  assert.deepEqual([downloads.length, findings, completeness.state], [1, [], 'complete'])
})

test('a body that is truncated every time is not stored; the client never takes it for whole', async () => {
  web.set('/always-cut', truncatedFirst(Array(9).fill('abc'), 'abcdefgh'))
  const { ask, close, store } = await startRecorder({ policy: open })
  await assert.rejects(ask(`${web.base}/always-cut`))
  const { downloads, findings, completeness } = await close()
  assert.deepEqual([downloads, [...store.references()]], [[], []])
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['NETWORK_UNREACHABLE'],
  )
  assert.match(findings[0]!.message, /3 of 8 bytes/)
  assert.deepEqual(completeness, { state: 'partial', reasons: ['unreachable'] })
  assert.equal(web.requests.filter(line => line.endsWith('/always-cut')).length, 3)
})

test('a chunked body without its end is truncated', async () => {
  const server = await startRawServer('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nalpha\r\n')
  const { ask, close } = await startRecorder({ policy: open })
  await assert.rejects(ask(`http://127.0.0.1:${server.port}/`))
  assert.deepEqual((await close()).downloads, [])
  await server.close()
})

for (const [how, second] of [
  ['other bytes', 'abX'],
  ['fewer bytes', 'ab'],
] as const) {
  test(`two bodies for one URL are an error: a second attempt that begins with ${how}`, async () => {
    let attempt = 0
    web.set('/two', (_request, response) => {
      if (attempt++ > 0) return response.end(second)
      response.write('abc', () => response.destroy()) // chunked, so the sizes do not give it away
    })
    const { ask, close, store } = await startRecorder({ policy: open })
    await assert.rejects(ask(`${web.base}/two`))
    const { downloads, findings } = await close()
    assert.deepEqual([downloads, [...store.references()]], [[], []])
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['DIGEST_MISMATCH'],
    )
  })
}

test('two bodies for one URL are an error: a second attempt that announces another size', async () => {
  let attempt = 0
  web.set('/resized', (_request, response) => {
    response.setHeader('content-length', attempt++ === 0 ? 8 : 9)
    response.write('abc', () => response.destroy())
  })
  const { ask, close } = await startRecorder({ policy: open })
  await assert.rejects(ask(`${web.base}/resized`))
  assert.deepEqual(
    (await close()).findings.map(({ code }) => code),
    ['DIGEST_MISMATCH'],
  )
})

test('an overloaded server is tried again, and its answer of the moment never recorded', async () => {
  let attempt = 0
  web.set('/busy', (_request, response) =>
    attempt++ < 2 ? response.writeHead(503, { 'retry-after': '1' }).end('busy') : response.end('at last'),
  )
  web.set('/broken', (_request, response) => response.writeHead(500).end('sorry'))
  const { ask, close } = await startRecorder({ policy: open })
  assert.equal(String((await ask(`${web.base}/busy`)).body), 'at last')
  const broken = await ask(`${web.base}/broken`)
  assert.deepEqual([broken.status, String(broken.body)], [500, 'sorry'])
  const { downloads, completeness, findings } = await close()
  assert.deepEqual(
    downloads.map(({ url }) => url),
    [`${web.base}/busy`],
  )
  assert.deepEqual(completeness.reasons, ['unreachable'])
  assert.match(findings[0]!.message, /answers 500/)
})

test('an unreachable host is a 502 and a finding that names it; what was fetched stays, and need not be fetched again', async () => {
  const down = await startRawServer('')
  await down.close()
  const { ask, close, store } = await startRecorder({
    mirrors: [
      { logical: 'http://up.internal/', upstream: web.base },
      { logical: 'http://down.internal/', upstream: `http://127.0.0.1:${down.port}/` },
    ],
  })
  await ask('http://up.internal/a')
  const answer = await ask('http://down.internal/a')
  assert.equal(answer.status, 502)
  assert.match(String(answer.body), new RegExp(`127\\.0\\.0\\.1:${down.port}`))
  const { downloads, findings, completeness } = await close()
  assert.deepEqual(
    findings.map(({ code, details }) => [code, details?.host]),
    [['NETWORK_UNREACHABLE', '127.0.0.1']],
  )
  assert.deepEqual(completeness, { state: 'partial', reasons: ['unreachable'] })
  assert.equal(String(store.read(downloads[0]!.ref)), 'alpha')

  const asked = web.requests.length
  const resumed = await startRecorder({
    store,
    known: knownFrom(downloads),
    mirrors: [{ logical: 'http://up.internal/', upstream: web.base }],
  })
  assert.equal(String((await resumed.ask('http://up.internal/a')).body), 'alpha')
  assert.deepEqual(
    (await resumed.close()).downloads.map(({ ref }) => ref),
    downloads.map(({ ref }) => ref),
  )
  assert.equal(web.requests.length, asked)
})

test('a failure that a later attempt of the program mends leaves the record complete', async () => {
  let isUp = false
  web.set('/later', (_request, response) => (isUp ? response.end('ok') : response.writeHead(500).end()))
  const { ask, close } = await startRecorder({ policy: open })
  assert.equal((await ask(`${web.base}/later`)).status, 500)
  isUp = true
  assert.equal((await ask(`${web.base}/later`)).status, 200)
  assert.equal((await close()).completeness.state, 'complete')
})

for (const [what, bytes] of [
  ['garbage', '\x00\x01\x02 what\r\n\r\n'],
  ['nothing', ''],
  ['half a header', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['headers without end', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}\r\n`],
  ['one huge header', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
  ['a size that is no number', 'HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n'],
  ['two sizes', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
  ['a part that nobody asked for', 'HTTP/1.1 206 Partial Content\r\ncontent-length: 1\r\n\r\nx'],
  ['a promise of what is known', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
] as const) {
  test(`an upstream that answers ${what} is a 502, and nothing is stored`, async () => {
    const server = await startRawServer(bytes)
    const { ask, close, store } = await startRecorder({ policy: open })
    assert.equal((await ask(`http://127.0.0.1:${server.port}/`)).status, 502)
    const { findings } = await close()
    assert.deepEqual([findings.map(({ code }) => code), [...store.references()]], [['NETWORK_UNREACHABLE'], []])
    await server.close()
  })
}

test('an upstream that falls silent is given up after the idle time', async () => {
  web.set('/silent', (_request, response) => response.writeHead(200, { 'content-length': 5 }).write('al'))
  const { ask, close } = await startRecorder({ policy: open, limits: { idleTimeoutMs: 30, attempts: 2 } })
  await assert.rejects(ask(`${web.base}/silent`))
  assert.deepEqual(
    (await close()).findings.map(({ code }) => code),
    ['NETWORK_UNREACHABLE'],
  )
})

test('a redirect loop ends: the step is shown each hop once, and a mirror that loops is a finding', async () => {
  web.set('/round', (_request, response) => response.writeHead(302, { location: '/round' }).end())
  const { ask, close, recorder } = await startRecorder({
    policy: open,
    mirrors: [{ logical: 'http://site.internal/', upstream: web.base }],
  })
  for (let i = 0; i < 5; i++) {
    assert.equal((await ask(`${web.base}/round`)).status, 302)
    await recorder.settle()
  }
  assert.equal((await ask('http://site.internal/round')).status, 502)
  const { downloads, findings } = await close()
  assert.deepEqual(
    downloads.map(({ url, via }) => [url, via]),
    [[`${web.base}/round`, [`${web.base}/round`]]],
  )
  assert.match(findings[0]!.message, /redirects 11 times/)
})

test('a mirror that redirects into this machine, or to another protocol, is not followed', async () => {
  web.set('/inwards', (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end())
  web.set('/file', (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end())
  const { ask, close } = await startRecorder({ mirrors: [{ logical: 'http://site.internal/', upstream: web.base }] })
  assert.equal((await ask('http://site.internal/inwards')).status, 403)
  assert.equal((await ask('http://site.internal/file')).status, 502)
  const { downloads, refusals } = await close()
  assert.deepEqual([downloads, refusals.length > 0], [[], true])
})

test('a body beyond the limit is refused while it comes', async () => {
  web.set('/endless', (_request, response) => {
    const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65536), more))
    more()
  })
  const { ask, close, store } = await startRecorder({ policy: open, limits: { maxBodyBytes: 1 << 20 } })
  await assert.rejects(ask(`${web.base}/endless`))
  const { findings } = await close()
  assert.deepEqual([findings.map(({ code }) => code), [...store.references()]], [['LIMIT_EXCEEDED'], []])
})

test('a client that leaves in the middle has seen a part: the rest is fetched, and recorded', async () => {
  const left = Promise.withResolvers<void>()
  web.set('/long', (_request, response) => {
    response.setHeader('content-length', 10)
    response.write('first')
    left.promise.then(() => response.end('other'))
  })
  const { port, close, recorder, store } = await startRecorder({ policy: open })
  const { connect } = await import('node:net')
  await new Promise<void>(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`GET ${web.base}/long HTTP/1.1\r\nhost: x\r\n\r\n`))
    socket.on('data', data => String(data).includes('first') && socket.destroy())
    socket.on('close', () => resolve())
  })
  left.resolve()
  await recorder.fetch(`${web.base}/long`)
  const { downloads, completeness } = await close()
  assert.equal(String(store.read(downloads[0]!.ref)), 'firstother')
  assert.equal(completeness.state, 'complete')
})

test('a body that is still arriving when the step ends makes the record partial', async () => {
  web.set('/never', (_request, response) => response.writeHead(200, { 'content-length': 10 }).write('first'))
  const { ask, close, store } = await startRecorder({ policy: open })
  const cut = assert.rejects(ask(`${web.base}/never`))
  while (!web.requests.includes('GET /never')) await new Promise(setImmediate)
  for (let i = 0; i < 100; i++) await new Promise(setImmediate)
  const { downloads, completeness } = await close()
  await cut
  assert.deepEqual([downloads, [...store.references()]], [[], []])
  assert.deepEqual(completeness, { state: 'partial', reasons: ['abandoned'] })
})

test('a store that is locked for a moment costs nothing; one that stays broken fails the close', async () => {
  const store = memoryStore()
  let refusals = 1
  const keep = (paths: readonly string[]) => {
    if (refusals-- > 0) throw new AslError('STORE_LOCKED', 'another process writes')
    return keepIn(store)(paths)
  }
  const lucky = await startRecorder({ policy: open, store, keep })
  await lucky.ask(`${web.base}/a`)
  await assert.rejects(lucky.recorder.settle(), { code: 'STORE_LOCKED' })
  assert.equal(String((await lucky.ask(`${web.base}/a`)).body), 'alpha')
  assert.equal((await lucky.close()).downloads.length, 1)

  refusals = Number.POSITIVE_INFINITY
  const unlucky = await startRecorder({ policy: open, store, keep })
  await unlucky.ask(`${web.base}/a`)
  await assert.rejects(unlucky.close(), { code: 'STORE_LOCKED' })
})

test('a known body that is damaged in the store never arrives whole, and fails the close', async () => {
  const { ask, close, store } = await startRecorder({ policy: open })
  await ask(`${web.base}/a`)
  const { downloads } = await close()
  const damaged = {
    ...store,
    *chunks() {
      yield Buffer.from('alphX')
      throw new AslError('STORE_INTEGRITY', 'the digest differs')
    },
  }
  const replay = await startRecorder({ mode: 'replay', store: damaged, known: knownFrom(downloads) })
  await assert.rejects(replay.ask(`${web.base}/a`))
  await assert.rejects(replay.close(), { code: 'STORE_INTEGRITY' })
})

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
  assert.match(
    await raw(`POST ${web.base}/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n`),
    /^HTTP\/1.1 403/,
  )
  assert.equal(web.requests.length, asked)
  const { refusals, completeness } = await close()
  assert.equal(refusals.length, 7)
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

test('the proxy of the build host is used, except where it says not to, and is not told to the step', async () => {
  const seen: string[] = []
  const proxy = createServer((request, response) => {
    seen.push(request.url ?? '')
    response.end('by proxy')
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  const { port } = proxy.address() as { port: number }
  const { ask, close } = await startRecorder({
    policy: open,
    upstreamProxy: { http: `http://127.0.0.1:${port}`, except: `.example,127.0.0.1:${web.port}` },
  })
  assert.equal(String((await ask('http://far.test/x')).body), 'by proxy')
  assert.equal(String((await ask(`${web.base}/a`)).body), 'alpha')
  assert.deepEqual(seen, ['http://far.test/x'])
  assert.equal((await close()).downloads[0]!.upstreamUrl, 'http://far.test/x')
  proxy.close()
})
