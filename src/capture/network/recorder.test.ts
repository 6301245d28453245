import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startRecorder } from '../../../tests/fakes/recorder.ts'
import { startWebServer, type WebServer } from '../../../tests/fakes/web-server.ts'
import { sha256 } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import { knownFrom } from './download.ts'

let web: WebServer
/** The fake upstream is on loopback, which a step may reach as a mirror only. */
const site = () => [{ logical: 'http://site.internal/', upstream: web.base }]
const MIRROR = 'http://site.internal'

before(async () => {
  web = await startWebServer({ '/a': 'alpha', '/b': 'beta' })
})
after(() => web.close())

test('a response is an artifact, recorded under the URL the step asked for', async () => {
  const { ask, close, store } = await startRecorder({ mirrors: site() })
  const answer = await ask(`${MIRROR}/a`)
  assert.equal(answer.status, 200)
  assert.equal(String(answer.body), 'alpha')
  const { downloads, completeness, findings } = await close()
  assert.deepEqual(findings, [])
  assert.equal(completeness.state, 'complete')
  assert.equal(downloads.length, 1)
  const [download] = downloads
  assert.equal(download!.url, `${MIRROR}/a`)
  assert.equal(download!.upstreamUrl, `${web.base}/a`)
  assert.equal(download!.sha256, sha256('alpha'))
  assert.equal(download!.sizeBytes, 5)
  assert.equal(String(store.read(download!.ref)), 'alpha')
})

test('a replay gives the same answers without an upstream, and names what is missing', async () => {
  const recording = await startRecorder({ mirrors: site() })
  await recording.ask(`${MIRROR}/a`)
  const missing = await recording.ask(`${MIRROR}/none`)
  const { downloads } = await recording.close()

  const asked = web.requests.length
  const replay = await startRecorder({
    mode: 'replay',
    store: recording.store,
    known: knownFrom(downloads),
    mirrors: [{ logical: 'http://site.internal/', upstream: 'http://127.0.0.1:1/' }],
  })
  assert.equal(String((await replay.ask(`${MIRROR}/a`)).body), 'alpha')
  const again = await replay.ask(`${MIRROR}/none`)
  assert.deepEqual([again.status, again.body], [missing.status, missing.body])
  const miss = await replay.ask(`${MIRROR}/b`)
  assert.equal(miss.status, 504)
  const report = await replay.close()
  assert.equal(web.requests.length, asked)
  assert.deepEqual(
    report.downloads.map(({ url, ref }) => [url, ref]),
    downloads.map(({ url, ref }) => [url, ref]),
  )
  assert.deepEqual(
    report.findings.map(({ code }) => code),
    ['REPLAY_INPUT_MISSING'],
  )
  assert.match(report.findings[0]!.message, /site\.internal\/b/)
})

test('a known body that the store has lost is fetched again, and missing to a replay', async () => {
  const { recorder, store, close } = await startRecorder({ mirrors: site() })
  await recorder.fetch(`${MIRROR}/a`)
  const known = knownFrom((await close()).downloads)
  const empty = memoryStore()
  const resumed = await startRecorder({ mirrors: site(), store: empty, known })
  assert.equal(String((await resumed.ask(`${MIRROR}/a`)).body), 'alpha')
  assert.equal((await resumed.close()).downloads.length, 1)
  assert.deepEqual([...empty.references()], [...store.references()])

  const replay = await startRecorder({ mode: 'replay', mirrors: site(), store: memoryStore(), known })
  assert.equal((await replay.ask(`${MIRROR}/a`)).status, 504)
  assert.deepEqual(
    (await replay.close()).findings.map(({ code }) => code),
    ['REPLAY_INPUT_MISSING'],
  )
})
