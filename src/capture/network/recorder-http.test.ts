/** What a client may ask of the recorder, and what it is told. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { startRecorder } from '../../../tests/fakes/recorder.ts'
import { startWebServer, type WebServer } from '../../../tests/fakes/web-server.ts'
import { sha256 } from '../../core/mod.ts'
import { knownFrom } from './download.ts'

const BODY = 'The quick brown fox jumps over the lazy dog.'
const MTIME = 'Sat, 12 Sep 2026 07:55:41 GMT'

let web: WebServer
before(async () => {
  web = await startWebServer({
    '/body': (_request, response) => {
      response.setHeader('content-type', 'text/x-fox')
      response.setHeader('last-modified', MTIME)
      response.setHeader('etag', '"fox"')
      response.setHeader('server', 'chance')
      response.setHeader('content-length', BODY.length)
      response.end(response.req.method === 'HEAD' ? undefined : BODY)
    },
    '/chunked': (_request, response) => {
      response.write(BODY)
      response.end()
    },
    '/empty': '',
    '/gone': (_request, response) => response.writeHead(410).end('gone, says this server'),
    '/hop': (_request, response) => response.writeHead(302, { location: '/body' }).end('over there'),
    '/hop2': (_request, response) => response.writeHead(301, { location: '/hop' }).end(),
    '/gzip': (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('not really'),
    '/cookie': (_request, response) => response.writeHead(200, { 'set-cookie': 'id=1' }).end('crumbs'),
    '/login': (request, response) =>
      request.headers.authorization === undefined
        ? response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('who?')
        : response.end('inside'),
    '/private': (request, response) =>
      request.headers.authorization === undefined ? response.writeHead(404).end('no') : response.end('inside'),
  })
})
after(() => web.close())

/** The fake upstream is on loopback: reachable as itself only where the policy says so, or as a mirror. */
const open = { mayBeLocal: () => true }
const mirror = () => ({ mirrors: [{ logical: 'http://site.internal/x/', upstream: `${web.base}/` }] })

test('of the headers a server sends, the step sees and the record holds those that matter', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  const { headers } = await ask(`${web.base}/body`)
  const kept = { 'content-type': 'text/x-fox', 'last-modified': MTIME, etag: '"fox"' }
  const { connection: _, 'keep-alive': __, ...seen } = headers
  assert.deepEqual(seen, { ...kept, 'content-length': String(BODY.length), 'accept-ranges': 'bytes' })
  assert.deepEqual((await close()).downloads[0]!.headers, kept)
})

test('behind a mirror the step sees no header that another mirror would send differently', async () => {
  const { ask, close } = await startRecorder(mirror())
  const { headers } = await ask('http://site.internal/x/body')
  const { connection: _, 'keep-alive': __, ...seen } = headers
  assert.deepEqual(seen, { 'content-length': String(BODY.length), 'accept-ranges': 'bytes' })
  const [download] = (await close()).downloads
  assert.deepEqual(download!.headers, {})
  assert.equal(download!.upstreamHeaders.etag, '"fox"')
})

test('what a mirror writes into a refusal is not recorded, its status is', async () => {
  const answered = Promise.withResolvers<void>()
  web.set('/gone-slowly', (_request, response) => {
    response.writeHead(410, { 'content-length': 5 }).flushHeaders()
    answered.promise.then(() => response.end('gone!'))
  })
  const { ask, close, recorder } = await startRecorder(mirror())
  const answer = await ask('http://site.internal/x/gone-slowly')
  answered.resolve()
  assert.deepEqual([answer.status, String(answer.body)], [410, ''])
  await recorder.fetch('http://site.internal/x/gone-slowly')
  const [download] = (await close()).downloads
  assert.deepEqual([download!.status, download!.sizeBytes], [410, 0])
})

test('headers that are meant for the recorder are not passed on', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  const headers = {
    connection: 'close, x-mine',
    'x-mine': '1',
    'proxy-authorization': 'Basic eDp5',
    te: 'trailers',
    'x-other': '2',
  }
  await ask(`${web.base}/body`, { headers })
  const { 'x-mine': mine, 'proxy-authorization': proxy, te, 'x-other': other } = web.lastHeaders
  assert.deepEqual([mine, proxy, te, other], [undefined, undefined, undefined, '2'])
  assert.deepEqual((await close()).completeness, { state: 'complete', reasons: [] })
})

test('conditions and ranges are not passed on: the whole body is stored, and parts of it are cut here', async () => {
  const { ask, close, store } = await startRecorder({ policy: open })
  const url = `${web.base}/body`
  const ask206 = async (range: string, more = {}) => ask(url, { headers: { range, ...more } })
  const first = await ask206('bytes=4-8', { 'if-modified-since': MTIME, 'if-none-match': '"fox"' })
  assert.equal(
    web.lastHeaders.range ?? web.lastHeaders['if-none-match'] ?? web.lastHeaders['if-modified-since'],
    undefined,
  )
  assert.equal(web.lastHeaders['accept-encoding'], 'identity')
  const seen = [first]
  for (const range of ['bytes=40-', 'bytes=-4', 'bytes=0-0', 'bytes=0-9999']) seen.push(await ask206(range))
  assert.deepEqual(
    seen.map(({ status, body, headers }) => [status, String(body), headers['content-range']]),
    [
      [206, 'quick', 'bytes 4-8/44'],
      [206, 'dog.', 'bytes 40-43/44'],
      [206, 'dog.', 'bytes 40-43/44'],
      [206, 'T', 'bytes 0-0/44'],
      [206, BODY, 'bytes 0-43/44'],
    ],
  )
  const beyond = await ask206('bytes=44-')
  assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */44'])
  for (const odd of ['bytes=1-2,4-5', 'lines=1-2', 'bytes=-', 'bytes=5-2']) {
    assert.deepEqual([(await ask206(odd)).status, odd], [200, odd])
  }
  assert.equal((await ask206('bytes=4-8', { 'if-range': '"cat"' })).status, 200)
  assert.equal((await ask206('bytes=4-8', { 'if-range': '"fox"' })).status, 206)
  const { downloads } = await close()
  assert.deepEqual(
    downloads.map(({ ref }) => String(store.read(ref))),
    [BODY],
  )
  assert.equal(web.requests.filter(line => line === 'GET /body').length >= 1, true)
})

test('a range of a body whose size upstream does not say waits for the body', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  const answer = await ask(`${web.base}/chunked`, { headers: { range: 'bytes=4-8' } })
  assert.deepEqual([answer.status, String(answer.body)], [206, 'quick'])
  await close()
})

test('one URL is one response for the whole run: upstream is asked once', async () => {
  let count = 0
  web.set('/changing', (_request, response) => response.end(`answer ${++count}`))
  const { ask, close, recorder } = await startRecorder({ policy: open })
  const url = `${web.base}/changing`
  const together = await Promise.all([ask(url), ask(url), ask(url)])
  await recorder.settle()
  const later = await ask(url)
  for (const { body } of [...together, later]) assert.equal(String(body), 'answer 1')
  const { downloads, completeness } = await close()
  assert.deepEqual([count, downloads.length, completeness.state], [1, 1, 'complete'])
})

test('HEAD is answered from what is known of GET, else by upstream, and recorded', async () => {
  const { ask, close, recorder, store } = await startRecorder({ policy: open })
  const alone = await ask(`${web.base}/body`, { method: 'HEAD' })
  assert.deepEqual([alone.headers['content-length'], alone.body.length], ['44', 0])
  await ask(`${web.base}/chunked`)
  await recorder.settle()
  const asked = web.requests.length
  const derived = await ask(`${web.base}/chunked`, { method: 'HEAD' })
  assert.deepEqual([derived.headers['content-length'], web.requests.length], ['44', asked])
  const { downloads } = await close()
  assert.deepEqual(
    downloads.map(({ method, url, sizeBytes }) => [method, url, sizeBytes]),
    [
      ['HEAD', `${web.base}/body`, 0],
      ['GET', `${web.base}/chunked`, 44],
    ],
  )
  const replay = await startRecorder({ mode: 'replay', store, known: knownFrom(downloads) })
  assert.equal((await replay.ask(`${web.base}/body`, { method: 'HEAD' })).headers['content-length'], '44')
  await replay.close()
})

test('an empty body and a chunked body are recorded as they are', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  assert.equal((await ask(`${web.base}/empty`)).body.length, 0)
  assert.equal(String((await ask(`${web.base}/chunked`)).body), BODY)
  const { downloads } = await close()
  assert.deepEqual(
    downloads.map(({ sha256 }) => sha256),
    [sha256(''), sha256(BODY)],
  )
})

test('a body that upstream encodes although asked not to keeps its bytes and its encoding', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  const { headers, body } = await ask(`${web.base}/gzip`)
  assert.deepEqual([headers['content-encoding'], String(body)], ['gzip', 'not really'])
  assert.equal((await close()).downloads[0]!.headers['content-encoding'], 'gzip')
})

test('each redirect hop is a record of its own, and the last one knows how it was reached', async () => {
  const { ask, close, store } = await startRecorder({ policy: open })
  const hop2 = await ask(`${web.base}/hop2`)
  assert.deepEqual([hop2.status, hop2.headers.location], [301, '/hop'])
  const hop = await ask(`${web.base}/hop`)
  assert.deepEqual([hop.status, hop.headers.location], [302, '/body'])
  await ask(`${web.base}/body`)
  const { downloads } = await close()
  assert.deepEqual(
    downloads.map(({ status, via }) => [status, via]),
    [
      [301, []],
      [302, [`${web.base}/hop2`]],
      [200, [`${web.base}/hop2`, `${web.base}/hop`]],
    ],
  )
  const replay = await startRecorder({ mode: 'replay', store, known: knownFrom(downloads) })
  assert.equal((await replay.ask(`${web.base}/hop2`)).headers.location, '/hop')
  await replay.close()
})

test('redirects of a mirror are followed here: the record is the same as behind one that sends none', async () => {
  const { ask, close } = await startRecorder(mirror())
  const answer = await ask('http://site.internal/x/hop2')
  assert.deepEqual([answer.status, String(answer.body)], [200, BODY])
  const [download] = (await close()).downloads
  assert.equal(download!.url, 'http://site.internal/x/hop2')
  assert.deepEqual(download!.via, [`${web.base}/hop2`, `${web.base}/hop`])
  assert.equal(download!.upstreamUrl, `${web.base}/body`)
})

test('credentials and tokens are passed on and never written down; the record is partial', async () => {
  const seen: (string | undefined)[] = []
  web.set('/secret?token=hunter2&x=1', (request, response) => {
    seen.push(request.headers.authorization, request.headers.cookie)
    response.end('classified')
  })
  const { ask, close } = await startRecorder({ policy: open })
  const answer = await ask(`${web.base}/secret?token=hunter2&x=1`, {
    headers: { authorization: 'Bearer swordfish', cookie: 'session=opensesame' },
  })
  assert.equal(String(answer.body), 'classified')
  assert.deepEqual(seen, ['Bearer swordfish', 'session=opensesame'])
  const report = await close()
  assert.equal(report.downloads[0]!.url, `${web.base}/secret?token=REDACTED&x=1`)
  assert.doesNotMatch(JSON.stringify(report), /hunter2|swordfish|opensesame/)
  assert.deepEqual(report.completeness, { state: 'partial', reasons: ['credentials'] })
})

test('a redirect to a signed address is followed with the signature and recorded without', async () => {
  const target = `/blob?X-Amz-Signature=cafe&part=2`
  web.set('/release', (_request, response) => response.writeHead(302, { location: web.base + target }).end())
  web.set(target, 'signed for')
  const { ask, close, recorder, store } = await startRecorder({ policy: open })
  await ask(`${web.base}/release`)
  await recorder.settle() // from here on it is answered from the store
  const live = (await ask(`${web.base}/release`)).headers.location
  assert.equal(String((await ask(live!)).body), 'signed for')
  const report = await close()
  assert.doesNotMatch(JSON.stringify(report), /cafe/)
  const replay = await startRecorder({ mode: 'replay', store, known: knownFrom(report.downloads) })
  const { location } = (await replay.ask(`${web.base}/release`)).headers
  assert.equal(String((await replay.ask(location!)).body), 'signed for')
  assert.deepEqual((await replay.close()).findings, [])
})

test('a challenge is passed on and not recorded, nor does a refusal stand against credentials', async () => {
  const { ask, close, recorder } = await startRecorder({ policy: open })
  const challenge = await ask(`${web.base}/login`)
  assert.deepEqual([challenge.status, challenge.headers['www-authenticate']], [401, 'Basic realm="x"'])
  const authorization = 'Basic eDp5'
  assert.equal(String((await ask(`${web.base}/login`, { headers: { authorization } })).body), 'inside')
  assert.equal((await ask(`${web.base}/private`)).status, 404)
  await recorder.settle()
  assert.equal(String((await ask(`${web.base}/private`, { headers: { authorization } })).body), 'inside')
  const { downloads, completeness } = await close()
  assert.deepEqual(
    downloads.map(({ status }) => status),
    [200, 200],
  )
  assert.deepEqual(completeness.reasons, ['credentials'])
})

test('another representation of a URL is not taken for the one that was recorded', async () => {
  web.set('/varied', (request, response) => {
    response.setHeader('vary', 'accept-encoding, Accept')
    response.end(`as ${request.headers.accept}`)
  })
  web.set('/plain', (_request, response) => response.writeHead(200, { vary: 'accept-encoding' }).end('one'))
  const { ask, close, recorder } = await startRecorder({ policy: open })
  const as = (page: string, accept: string) => ask(web.base + page, { headers: { accept } })
  const [first, other] = await Promise.all([as('/varied', 'text/html'), as('/varied', 'text/json')])
  assert.deepEqual([String(first.body), other.status], ['as text/html', 502])
  await recorder.settle()
  assert.equal(String((await as('/varied', 'text/html')).body), 'as text/html')
  assert.equal((await as('/varied', 'text/json')).status, 502)
  for (const accept of ['a/b', 'c/d']) assert.equal(String((await as('/plain', accept)).body), 'one')
  const { downloads, findings } = await close()
  assert.equal(downloads.length, 2)
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['DIGEST_MISMATCH'],
  )
})

test('cookies that a server sets reach the program that asked, and no record', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  assert.deepEqual((await ask(`${web.base}/cookie`)).headers['set-cookie'], ['id=1'])
  assert.doesNotMatch(JSON.stringify(await close()), /id=1/)
})

test('a client that does not read holds up nobody, and gets all of it in the end', async () => {
  const body = Buffer.alloc(20_000_000, 'slow ')
  web.set('/huge', body)
  const { ask, close, port, recorder } = await startRecorder({ policy: open })
  const slow = connect(port, '127.0.0.1')
  slow.write(`GET ${web.base}/huge HTTP/1.0\r\n\r\n`)
  await once(slow, 'readable') // the answer has begun, and nobody takes it
  assert.equal((await ask(`${web.base}/huge`)).body.length, body.length)
  await recorder.settle() // its spool is gone from the folder, and still readable
  const hash = createHash('sha256')
  let head: Buffer | undefined
  for await (const piece of slow as AsyncIterable<Buffer>) {
    const rest = head === undefined ? piece.subarray(piece.indexOf('\r\n\r\n') + 4) : piece
    head ??= piece
    hash.update(rest)
  }
  assert.equal(hash.digest('hex'), sha256(body))
  assert.equal((await close()).downloads.length, 1)
})

test('keep-alive: one connection carries request after request', async () => {
  const { ask, close } = await startRecorder({ policy: open })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ports = new Set<number>()
  agent.on('free', socket => ports.add(socket.localPort))
  for (const page of ['/body', '/chunked', '/empty', '/nothing', '/body']) await ask(web.base + page, { agent })
  assert.equal(ports.size, 1)
  agent.destroy()
  await close()
})

test('pipelining: requests sent at once are answered in their order', async () => {
  // The first is answered by its server only when the last has been asked for.
  const lastAsked = Promise.withResolvers<void>()
  web.set('/slow', (_request, response) => void lastAsked.promise.then(() => response.end('slow')))
  web.set('/last', (_request, response) => {
    lastAsked.resolve()
    response.end(BODY)
  })
  const { raw, close } = await startRecorder({ policy: open })
  const request = (path: string, more = '') => `GET ${web.base}${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`
  const answers = await raw(request('/slow') + request('/empty') + request('/last', 'connection: close\r\n'))
  const positions = ['slow', 'content-length: 0', BODY].map(text => answers.indexOf(text))
  assert.ok(
    positions.every((at, i) => at > (positions[i - 1] ?? -1)),
    `${positions}`,
  )
  await close()
})

test('an HTTP/1.0 client without a Host header is served', async () => {
  const { raw, close } = await startRecorder({ policy: open })
  assert.match(await raw(`GET ${web.base}/chunked HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 200 .*lazy dog\.$/s)
  await close()
})

test('fetch() asks in this process, follows redirects, and tells absence from failure', async () => {
  const { recorder, close, store } = await startRecorder({ policy: open })
  const found = await recorder.fetch(`${web.base}/hop2`)
  assert.equal(String(store.read(found!.ref)), BODY)
  assert.equal(await recorder.fetch(`${web.base}/gone`), undefined)
  await assert.rejects(recorder.fetch(`${web.base}/login`), { code: 'NETWORK_UNREACHABLE' })
  web.set('/ring', (_request, response) => response.writeHead(302, { location: '/ring' }).end())
  await assert.rejects(recorder.fetch(`${web.base}/ring`), { code: 'NETWORK_UNREACHABLE' })
  await close()
})
