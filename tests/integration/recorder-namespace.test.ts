/** The recorder and a program in a network namespace of its own: by proxy it gets out, any other way it does not. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { proxyEnvironment, RECORDER_ADDRESS, RECORDER_PORT } from '../../src/capture/mod.ts'
import { findTool, listenInNamespace, TOOL_ENV } from '../../src/sys/mod.ts'
import { startRecorder } from '../fakes/recorder.ts'
import { startWebServer, type WebServer } from '../fakes/web-server.ts'

let web: WebServer
before(async () => {
  web = await startWebServer({ '/a': 'alpha' })
})
after(() => web.close())

const skip = (['nsenter', 'unshare', 'curl'] as const).find(tool => findTool(tool) === undefined)
const options = { skip: skip === undefined ? false : `${skip} is missing` }

for (const flags of [['--net'], ['--user', '--map-root-user', '--net']]) {
  const how = `unshare ${flags.join(' ')}`

  test(`http by proxy is recorded (${how})`, options, async () => {
    const { stdout, report } = await inSandbox(flags, 'curl --silent --show-error http://site.internal/a')
    assert.equal(stdout, 'alpha')
    assert.deepEqual(
      report.downloads.map(({ url }) => url),
      ['http://site.internal/a'],
    )
    assert.equal(report.completeness.state, 'complete')
  })

  test(`direct connections and names lead nowhere (${how})`, options, async () => {
    const { stdout, report } = await inSandbox(
      flags,
      `curl --noproxy '*' --silent --max-time 5 ${web.base}/a; echo "direct $?"
       curl --noproxy '*' --silent --max-time 5 http://10.0.0.1/; echo "outside $?"
       curl --noproxy '*' --silent --max-time 5 http://site.internal/a; echo "name $?"`,
    )
    // curl: 6 the name does not resolve, 7 no connection
    assert.equal(stdout, 'direct 7\noutside 7\nname 6\n')
    assert.deepEqual(report.downloads, [])
  })
}

async function inSandbox(flags: readonly string[], script: string) {
  const { recorder, close } = await startRecorder({
    mirrors: [{ logical: 'http://site.internal/', upstream: web.base }],
  })
  const sandbox = spawn('unshare', [...flags, 'bash', '-c', `echo $BASHPID; read -r go; ${script}`], {
    env: { ...TOOL_ENV, ...proxyEnvironment() },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const output = createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]()
    const pid = Number((await output.next()).value)
    recorder.attach(await listenInNamespace({ pid, address: RECORDER_ADDRESS, port: RECORDER_PORT }))
    const closed = once(sandbox, 'close')
    sandbox.stdin.write('go\n')
    const lines: string[] = []
    for await (const line of output) lines.push(line)
    await closed
    const stdout = lines.length > 1 ? `${lines.join('\n')}\n` : (lines[0] ?? '')
    return { stdout, report: await close() }
  } finally {
    sandbox.kill('SIGKILL')
    await close()
  }
}
