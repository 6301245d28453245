/** https through CONNECT: opened where the program trusts the sandbox's authority, and nowhere else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get } from 'node:http'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { startRecorder } from '../../../tests/fakes/recorder.ts'
import { startWebServer, type WebServer } from '../../../tests/fakes/web-server.ts'
import { sha256 } from '../../core/mod.ts'
import { createCertificateAuthority } from './certificate-authority.ts'
import { knownFrom } from './download.ts'

/** The authority of the world outside, which the step does not know and the recorder has to. */
const world = createCertificateAuthority()
let web: WebServer
before(async () => {
  web = await startWebServer({ '/a': 'alpha', '/b': 'beta' }, { secureContext: world.contextFor('localhost') })
})
after(() => web.close())

const options = () => ({ policy: { mayBeLocal: () => true }, upstreamCa: [world.pem] })

test('https is recorded like http, for a program that trusts the certificate of the sandbox', async () => {
  const { port, recorder, close, store } = await startRecorder(options())
  assert.deepEqual(await askTls(port, `${web.base}/a`, recorder.certificate()), { status: 200, body: 'alpha' })
  const { downloads, completeness } = await close()
  assert.deepEqual(
    downloads.map(({ url, sha256 }) => [url, sha256]),
    [[`${web.base}/a`, sha256('alpha')]],
  )
  assert.equal(completeness.state, 'complete')

  const asked = web.requests.length
  const replay = await startRecorder({ mode: 'replay', store, known: knownFrom(downloads) })
  const again = await askTls(replay.port, `${web.base}/a`, replay.recorder.certificate())
  assert.deepEqual(again, { status: 200, body: 'alpha' })
  assert.equal((await askTls(replay.port, `${web.base}/b`, replay.recorder.certificate())).status, 504)
  assert.deepEqual(
    (await replay.close()).findings.map(({ code }) => code),
    ['REPLAY_INPUT_MISSING'],
  )
  assert.equal(web.requests.length, asked)
})

test('several requests share one opened connection', async () => {
  const { port, recorder, close } = await startRecorder(options())
  const tunnel = await openTunnel(port, `localhost:${web.port}`)
  const socket = connectTls({ socket: tunnel, servername: 'localhost', ca: recorder.certificate() })
  const request = (path: string, end: string) => `GET ${path} HTTP/1.1\r\nhost: localhost:${web.port}\r\n${end}\r\n`
  socket.write(request('/a', '') + request('/b', 'connection: close\r\n'))
  assert.match(await readAll(socket), /alpha.*beta$/s)
  assert.equal((await close()).downloads.length, 2)
})

test('an upstream whose certificate the host does not trust is a finding that names it', async () => {
  const { port, recorder, close } = await startRecorder({ policy: { mayBeLocal: () => true } })
  const answer = await askTls(port, `${web.base}/a`, recorder.certificate())
  assert.equal(answer.status, 502)
  const { findings } = await close()
  assert.deepEqual([findings[0]?.code, findings[0]?.details?.host], ['NETWORK_UNREACHABLE', 'localhost'])
  assert.match(findings[0]?.message ?? '', /certificate is not trusted/)
})

test('a server that wants a certificate of the client cannot be recorded: it is named', async () => {
  const mutual = await startWebServer(
    { '/a': 'alpha' },
    { secureContext: world.contextFor('localhost'), isMutual: true },
  )
  const { port, recorder, close } = await startRecorder(options())
  assert.equal((await askTls(port, `${mutual.base}/a`, recorder.certificate())).status, 502)
  assert.match((await close()).findings[0]?.message ?? '', new RegExp(`localhost:${mutual.port}`))
  await mutual.close()
})

test('a program that trusts its own authority alone is refused with host and port', async () => {
  const { port, close } = await startRecorder(options())
  await assert.rejects(askTls(port, `${web.base}/a`, world.pem))
  const { refusals } = await close()
  assert.equal(refusals[0]?.authority, `localhost:${web.port}`)
  assert.match(refusals[0]?.reason ?? '', /does not trust|ended the TLS handshake/)
})

test('a program that looks at the pinned key after the handshake and leaves is noticed too', async () => {
  const { port, recorder, close } = await startRecorder(options())
  const tunnel = await openTunnel(port, `localhost:${web.port}`)
  const socket = connectTls({ socket: tunnel, servername: 'localhost', ca: recorder.certificate() })
  await once(socket, 'secureConnect')
  socket.end()
  await once(socket, 'close')
  const { refusals } = await close()
  assert.match(refusals[0]?.reason ?? '', /asked nothing/)
})

test('a host declared opaque is tunnelled unseen, counted, and makes the record partial', async () => {
  const policy = { mayBeLocal: () => true, isOpaque: (host: string) => host === 'localhost' }
  const { port, close, store } = await startRecorder({ policy })
  assert.deepEqual(await askTls(port, `${web.base}/a`, world.pem), { status: 200, body: 'alpha' })
  const { downloads, opaqueTraffic, completeness } = await close()
  assert.deepEqual(downloads, [])
  assert.deepEqual(completeness, { state: 'partial', reasons: ['tls-opaque'] })
  const [traffic] = opaqueTraffic
  assert.deepEqual([traffic?.kind, traffic?.host, traffic?.port], ['tunnel', 'localhost', web.port])
  assert.ok((traffic?.sentBytes ?? 0) > 200 && (traffic?.receivedBytes ?? 0) > 500)

  const replay = await startRecorder({ mode: 'replay', store, policy })
  await assert.rejects(askTls(replay.port, `${web.base}/a`, world.pem))
  assert.match((await replay.close()).refusals[0]?.reason ?? '', /cannot be replayed/)
})

test('an opaque host goes through the proxy of the build host, when there is one', async () => {
  const seen: string[] = []
  const proxy = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', head => {
      seen.push(String(head).split('\r\n')[0] ?? '')
      const target = connectTcp(web.port, '127.0.0.1')
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      target.on('error', () => {})
      socket.pipe(target).pipe(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  const recording = await startRecorder({
    policy: { mayBeLocal: () => true, isOpaque: () => true },
    upstreamProxy: { https: `http://127.0.0.1:${port}` },
  })
  assert.equal((await askTls(recording.port, `${web.base}/a`, world.pem)).body, 'alpha')
  await recording.close()
  const recorded = await startRecorder({ ...options(), upstreamProxy: { https: `http://127.0.0.1:${port}` } })
  const answer = await askTls(recorded.port, `${web.base}/b`, recorded.recorder.certificate())
  assert.equal(answer.body, 'beta')
  await recorded.close()
  assert.deepEqual(seen, Array(2).fill(`CONNECT localhost:${web.port} HTTP/1.1`))
  proxy.close()
})

test('an opaque host on this machine is refused unless the policy says it may be local', async () => {
  const { port, close } = await startRecorder({ policy: { isOpaque: () => true } })
  await assert.rejects(openTunnel(port, `127.0.0.1:${web.port}`), /403/)
  await assert.rejects(openTunnel(port, `localhost:${web.port}`), /403/)
  assert.equal((await close()).refusals.length, 2)
})

for (const [what, bytes, reason] of [
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', /is not TLS/],
  ['plain http', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', /is not TLS/],
  ['garbage that begins like TLS', Buffer.from('160301000501000001ff', 'hex'), /handshake failed/],
] as const) {
  test(`${what} through CONNECT ends, and is named with host and port`, async () => {
    const { port, close } = await startRecorder(options())
    const tunnel = await openTunnel(port, 'far.test:22')
    tunnel.write(bytes)
    await readAll(tunnel)
    const { refusals } = await close()
    assert.deepEqual([refusals[0]?.method, refusals[0]?.authority], ['CONNECT', 'far.test:22'])
    assert.match(refusals[0]?.reason ?? '', reason)
  })
}

for (const authority of ['far.test', 'far.test:0', 'far.test:99999', 'a b:1', '/x', 'user@far.test:443']) {
  test(`CONNECT "${authority}" is refused`, async () => {
    const { raw, close } = await startRecorder(options())
    const answer = await raw(`CONNECT ${authority} HTTP/1.1\r\nhost: x\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 40[03] /)
    assert.equal((await close()).refusals.length, 1)
  })
}

for (const [what, request] of [
  ['a Host that is another', 'GET /a HTTP/1.1\r\nhost: other.test\r\nconnection: close\r\n\r\n'],
  ['an absolute URL elsewhere', 'GET https://other.test/a HTTP/1.1\r\nconnection: close\r\n\r\n'],
  ['a second CONNECT', 'CONNECT other.test:443 HTTP/1.1\r\nhost: other.test\r\n\r\n'],
] as const) {
  test(`inside a tunnel, ${what} is refused: the certificate vouched for one host`, async () => {
    const { port, recorder, close } = await startRecorder(options())
    const asked = web.requests.length
    const tunnel = await openTunnel(port, `localhost:${web.port}`)
    const socket = connectTls({ socket: tunnel, servername: 'localhost', ca: recorder.certificate() })
    socket.write(request)
    assert.match(await readAll(socket), /^HTTP\/1\.1 40[03] .*asl: /s)
    assert.deepEqual([(await close()).refusals.length, web.requests.length], [1, asked])
  })
}

async function askTls(proxyPort: number, url: string, ca: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url)
  const tunnel = await openTunnel(proxyPort, `${hostname}:${port}`)
  try {
    return await new Promise((resolve, reject) => {
      const socket = connectTls({ socket: tunnel, servername: hostname, ca })
      socket.on('error', reject)
      const sent = get({
        path: url.slice(new URL(url).origin.length),
        headers: { host: `${hostname}:${port}` },
        createConnection: () => socket,
      })
      sent.on('response', response => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', piece => {
          body += piece
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        response.on('error', reject)
      })
      sent.on('error', reject)
    })
  } finally {
    tunnel.destroy()
  }
}

/** @throws Error with the first line of the answer when it is not 200 */
function openTunnel(proxyPort: number, authority: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(proxyPort, '127.0.0.1', () => {
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`)
    })
    socket.once('error', reject)
    socket.once('data', answer => {
      socket.off('error', reject)
      socket.on('error', () => {})
      if (String(answer).startsWith('HTTP/1.1 200')) resolve(socket)
      else reject(new Error(String(answer).split('\r\n')[0]))
    })
  })
}

function readAll(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    socket.on('data', piece => {
      text += piece
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}
