/**
 * What the recorder costs: a body of 500 MB in constant memory, and its speed against the same transfer without it.
 * The three of them — server, recorder, client — run in processes of their own, as they do in a build.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { findTool, run, TOOL_ENV } from '../../src/sys/mod.ts'

/** More than the memory it may take, so that a body held in memory would show. */
const SIZE_BYTES = 500 * 1000 * 1000
const SMALL_COUNT = 300
const SMALL_SIZE_BYTES = 200_000
const MAX_RSS_MIB = 300

const skip = findTool('curl') === undefined ? 'curl is missing' : false

test('a body of 500 MB and 300 small ones pass in constant memory, at a good part of the bare speed', {
  skip,
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'asl-throughput-'))
  const server = await startProgram('web-server-program.ts', [])
  const recorder = await startProgram('recorder-program.ts', [folder, server.line])
  try {
    const direct = server.line
    const small = Array.from({ length: SMALL_COUNT }, (_, i) => `/${SMALL_SIZE_BYTES}/${i}`)
    const bare = { small: await fetchAll(direct, small), large: await fetchAll(direct, [`/${SIZE_BYTES}/x`]) }
    const logical = 'http://site.internal'
    const recorded = {
      small: await fetchAll(logical, small, recorder.line),
      large: await fetchAll(logical, [`/${SIZE_BYTES}/x`], recorder.line),
    }
    const again = { large: await fetchAll(logical, [`/${SIZE_BYTES}/x`], recorder.line) }
    const report = JSON.parse(await recorder.stop()) as {
      downloads: number
      storedBytes: number
      maxRssMib: number
      cpuMs: number
    }
    t.diagnostic(`500 MB: bare ${shown(bare.large, SIZE_BYTES)}, recorded ${shown(recorded.large, SIZE_BYTES)}`)
    t.diagnostic(`500 MB again, from the recorder: ${shown(again.large, SIZE_BYTES)}`)
    const smallBytes = SMALL_COUNT * SMALL_SIZE_BYTES
    t.diagnostic(`300 × 200 kB: bare ${shown(bare.small, smallBytes)}, recorded ${shown(recorded.small, smallBytes)}`)
    t.diagnostic(`recorder: ${report.maxRssMib} MiB at most, ${report.cpuMs} ms of CPU for all of it and the store`)
    assert.equal(report.downloads, SMALL_COUNT + 1)
    assert.equal(report.storedBytes, SIZE_BYTES + smallBytes)
    assert.ok(report.maxRssMib <= MAX_RSS_MIB, `the recorder took ${report.maxRssMib} MiB`)
  } finally {
    await Promise.all([recorder.stop(), server.stop()])
    rmSync(folder, { recursive: true, force: true })
  }
})

/** Milliseconds curl takes for these pages, one connection kept alive. */
async function fetchAll(base: string, pages: readonly string[], proxy?: string): Promise<number> {
  const config = pages.map(page => `url = "${base}${page}"\noutput = "/dev/null"\n`).join('')
  const result = await run(
    ['curl', '--silent', '--show-error', '--fail', '--config', '-', ...(proxy === undefined ? [] : ['--proxy', proxy])],
    { env: TOOL_ENV, stdin: Buffer.from(config) },
  )
  assert.equal(result.exitCode, 0, String(result.stderr))
  return result.wallMs
}

interface Program {
  /** The first line it printed. */
  readonly line: string
  /** Closes its standard input and returns the last line it prints. */
  stop(): Promise<string>
}

async function startProgram(name: string, args: readonly string[]): Promise<Program> {
  const path = join(import.meta.dirname, '../fakes', name)
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = (await lines.next()).value as string
  let last: Promise<string> | undefined
  return {
    line,
    stop() {
      last ??= (async () => {
        const closed = once(child, 'close')
        child.stdin.end()
        const said = (await lines.next()).value ?? ''
        await closed
        return said
      })()
      return last
    },
  }
}

function shown(ms: number, sizeBytes: number): string {
  return `${ms.toFixed(0)} ms (${(sizeBytes / ms / 1000).toFixed(0)} MB/s)`
}
