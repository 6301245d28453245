/**
 * The recorder and programs in a network namespace of their own, as root and inside a user namespace: by proxy they
 * get out, any other way they do not.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  caEnvironment,
  type NetworkPolicy,
  type NetworkReport,
  proxyEnvironment,
  RECORDER_ADDRESS,
  RECORDER_PORT,
} from '../../src/capture/mod.ts'
import { createCertificateAuthority } from '../../src/capture/network/certificate-authority.ts'
import { findTool, listenInNamespace, TOOL_ENV } from '../../src/sys/mod.ts'
import { startRecorder } from '../fakes/recorder.ts'
import { startWebServer, type WebServer } from '../fakes/web-server.ts'

const world = createCertificateAuthority()
const folder = mkdtempSync(join(tmpdir(), 'asl-namespace-'))
const worldFile = join(folder, 'world.pem')
let http: WebServer
let https: WebServer

before(async () => {
  chmodSync(folder, 0o755)
  writeFileSync(worldFile, world.pem)
  http = await startWebServer({
    '/a': 'alpha',
    '/round': (_request, response) => response.writeHead(302, { location: '/round' }).end(),
    '/cut': (_request, response) => {
      response.setHeader('content-length', 10)
      response.write('first', () => response.destroy())
    },
  })
  https = await startWebServer({ '/b': 'beta' }, { secureContext: world.contextFor('localhost') })
})
after(async () => {
  await http.close()
  await https.close()
  rmSync(folder, { recursive: true, force: true })
})

const missing = (['nsenter', 'unshare', 'bash', 'curl'] as const).find(tool => findTool(tool) === undefined)
const options = { skip: missing === undefined ? false : `${missing} is missing` }
const CURL = 'curl --silent --show-error --max-time 20'
const NODE = `${process.execPath} --input-type=module --eval`

interface Program {
  readonly promise: string
  readonly script: () => string
  readonly stdout: string | RegExp
  check?(report: NetworkReport): void
  readonly policy?: NetworkPolicy
}

/** The network group of the adversarial programs: what each prints, and what the record says of it. */
const PROGRAMS: readonly Program[] = [
  {
    promise: 'http by proxy is recorded',
    script: () => `${CURL} http://site.internal/a`,
    stdout: 'alpha',
    check: ({ downloads, completeness }) => {
      assert.deepEqual(urls(downloads), ['http://site.internal/a'])
      assert.equal(completeness.state, 'complete')
    },
  },
  {
    promise: 'https by the authority of the sandbox is recorded: OpenSSL (curl)',
    script: () => `${CURL} https://safe.internal/b`,
    stdout: 'beta',
    check: ({ downloads, completeness }) => {
      assert.deepEqual(urls(downloads), ['https://safe.internal/b'])
      assert.equal(completeness.state, 'complete')
    },
  },
  {
    promise: 'https by the authority of the sandbox is recorded: Node',
    script: () => `${NODE} 'console.log(await (await fetch("https://safe.internal/b")).text())'`,
    stdout: 'beta\n',
    check: ({ downloads }) => assert.deepEqual(urls(downloads), ['https://safe.internal/b']),
  },
  {
    promise: 'TLS that trusts another authority alone is refused, with host and port',
    script: () => `${CURL} --cacert ${worldFile} https://safe.internal/b 2>/dev/null; echo "status $?"`,
    stdout: 'status 60\n',
    check: ({ downloads, refusals }) => {
      assert.deepEqual(downloads, [])
      assert.equal(refusals[0]?.authority, 'safe.internal:443')
    },
  },
  {
    promise: 'TLS with a pinned key is refused, with host and port',
    script: () =>
      `${CURL} --pinnedpubkey sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= https://safe.internal/b 2>/dev/null; echo "status $?"`,
    stdout: 'status 90\n',
    check: ({ downloads, refusals }) => {
      assert.deepEqual(downloads, [])
      assert.equal(refusals[0]?.authority, 'safe.internal:443')
    },
  },
  {
    promise: 'a direct connection finds nobody, also where the upstream listens outside',
    script: () =>
      `for url in ${http.base}/a http://10.0.0.1/; do ${CURL} --noproxy '*' $url 2>/dev/null; echo $?; done`,
    stdout: '7\n7\n',
    check: ({ downloads }) => assert.deepEqual(downloads, []),
  },
  {
    promise: 'names do not resolve',
    script: () =>
      `getent hosts site.internal; echo $?; ${CURL} --noproxy '*' http://site.internal/a 2>/dev/null; echo $?`,
    stdout: '2\n6\n',
    check: ({ downloads }) => assert.deepEqual(downloads, []),
  },
  {
    promise: 'another protocol through the proxy is refused, with host and port',
    script: () =>
      `${CURL} --proxytunnel --proxy http://127.0.0.1:3128 telnet://far.internal:23 <<<hello 2>/dev/null; ${CURL} -d x http://site.internal/a`,
    stdout: /asl: Refused POST site\.internal:80/,
    check: ({ downloads, refusals }) => {
      assert.deepEqual(downloads, [])
      assert.deepEqual(
        refusals.map(({ authority }) => authority),
        ['far.internal:23', 'site.internal:80'],
      )
    },
  },
  {
    promise: 'a redirect loop ends at the program, and is one record',
    script: () => `${CURL} --noproxy '' --location --max-redirs 5 ${http.base}/round 2>/dev/null; echo $?`,
    stdout: '47\n',
    policy: { mayBeLocal: () => true },
    check: ({ downloads }) =>
      assert.deepEqual(
        downloads.map(({ status }) => status),
        [302],
      ),
  },
  {
    promise: 'a truncated body is an error to the program, and no record',
    script: () => `${CURL} http://site.internal/cut 2>/dev/null; echo $?`,
    stdout: 'first18\n',
    check: ({ downloads, completeness }) => {
      assert.deepEqual(downloads, [])
      assert.deepEqual(completeness.reasons, ['unreachable'])
    },
  },
  {
    promise: 'a changing URL gives one answer for the whole run',
    script: () => `for i in 1 2 3; do ${CURL} http://site.internal/count; done`,
    stdout: 'answer 1answer 1answer 1',
    check: ({ downloads }) => assert.equal(downloads.length, 1),
  },
]

for (const flags of [['--net'], ['--user', '--map-root-user', '--net']]) {
  for (const program of PROGRAMS) {
    test(`${program.promise} (unshare ${flags.join(' ')})`, options, async () => {
      let count = 0
      http.set('/count', (_request, response) => response.end(`answer ${++count}`))
      const { stdout, report } = await inSandbox(flags, program.script(), program.policy ?? {})
      if (typeof program.stdout === 'string') assert.equal(stdout, program.stdout)
      else assert.match(stdout, program.stdout)
      program.check?.(report)
    })
  }
}

function urls(downloads: NetworkReport['downloads']): string[] {
  return downloads.map(({ url }) => url)
}

async function inSandbox(flags: readonly string[], script: string, policy: NetworkPolicy) {
  const { recorder, close } = await startRecorder({
    mirrors: [
      { logical: 'http://site.internal/', upstream: http.base },
      { logical: 'https://safe.internal/', upstream: https.base },
    ],
    upstreamCa: [world.pem],
    policy,
  })
  const caFile = join(folder, 'sandbox.pem')
  writeFileSync(caFile, recorder.certificate())
  const sandbox = spawn('unshare', [...flags, 'bash', '-c', `echo $BASHPID; read -r go; ${script}`], {
    env: { ...TOOL_ENV, ...proxyEnvironment(), ...caEnvironment(caFile) },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const pid = await firstLine(sandbox.stdout)
    recorder.attach(await listenInNamespace({ pid: Number(pid), address: RECORDER_ADDRESS, port: RECORDER_PORT }))
    let stdout = ''
    sandbox.stdout.setEncoding('utf8').on('data', piece => {
      stdout += piece
    })
    const closed = once(sandbox, 'close')
    sandbox.stdin.write('go\n')
    await closed
    return { stdout, report: await close() }
  } finally {
    sandbox.kill('SIGKILL')
    await close()
  }
}

/** The shell prints one line and waits, so there is nothing behind it yet. */
async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  const [piece] = (await once(stream, 'data')) as [Buffer]
  return piece.toString().trim()
}
