/** What goes wrong upstream and on this machine, and that none of it leaves a wrong record behind. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
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
      // Chunked both times, so that the sizes do not give it away.
      if (attempt++ === 0) return response.write('abc', () => response.destroy())
      response.write(second)
      response.end()
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

test('an upstream that takes no connection is given up after the time for connecting', async () => {
  // Two wait in the queue of a stopped process; the kernel drops whoever comes next (listen(2)).
  const script =
    "require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},function(){console.log(this.address().port)})"
  const child = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = Number((await once(child.stdout, 'data'))[0])
  child.kill('SIGSTOP')
  const queued = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  const { ask, close } = await startRecorder({ policy: open, limits: { connectTimeoutMs: 50, attempts: 2 } })
  try {
    assert.equal((await ask(`http://127.0.0.1:${port}/`)).status, 502)
    assert.match((await close()).findings[0]?.message ?? '', /does not answer in time/)
  } finally {
    for (const socket of queued) socket.destroy()
    child.kill('SIGKILL')
  }
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
  const { downloads, refusals, findings } = await close()
  assert.deepEqual([downloads, refusals.length > 0], [[], true])
  assert.match(findings[0]?.message ?? '', /redirects to file:/)
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
  // Large enough that what is written has left before the error comes.
  const body = Buffer.alloc(1 << 20, 'a')
  web.set('/large', body)
  const { ask, close, store } = await startRecorder({ policy: open })
  await ask(`${web.base}/large`)
  const { downloads } = await close()
  const damaged = {
    ...store,
    *chunks() {
      yield body.subarray(0, -1)
      yield Buffer.from('X')
      throw new AslError('STORE_INTEGRITY', 'the digest differs')
    },
  }
  const replay = await startRecorder({ mode: 'replay', store: damaged, known: knownFrom(downloads) })
  await assert.rejects(replay.ask(`${web.base}/large`))
  await assert.rejects(replay.close(), { code: 'STORE_INTEGRITY' })
})

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
