/** Runs one test file in a process of its own and tells how each of its tests ended. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeEnd, type RunResult, run, tryReadFile } from '../../src/sys/mod.ts'
import type { TestLine } from './event-reporter.ts'

export type TestEnd = Omit<Extract<TestLine, { kind: 'end' }>, 'kind' | 'id'>

export interface FileResult {
  readonly file: string
  readonly ms: number
  readonly tests: readonly TestEnd[]
  /** What the file printed, both streams; of interest only when something failed. */
  readonly output: string
}

export interface RunFileOptions {
  /** The folder the file is relative to, and the working directory of its tests. */
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

const REPORTER = join(import.meta.dirname, 'event-reporter.ts')

export async function runFile(file: string, options: RunFileOptions): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), 'asl-test-'))
  try {
    const eventsPath = join(folder, 'events')
    const outputPath = join(folder, 'output')
    const outputFd = openSync(outputPath, 'w') // a file, no pipe: a daemon that a test left behind cannot hold it open
    const argv = [process.execPath, `--test-reporter=${REPORTER}`, `--test-reporter-destination=${eventsPath}`, file]
    const result = await run(argv, {
      env: options.env,
      cwd: options.root,
      stdout: outputFd,
      stderr: outputFd,
      timeoutMs: options.timeoutMs,
      isGroup: true, // a test that hangs may have started guests and servers: they end with it
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).finally(() => closeSync(outputFd))
    const lines = parseLines(tryReadFile(eventsPath)?.toString('utf8') ?? '')
    const tests = [...lines.filter(line => line.kind === 'end'), ...lostTests(file, lines, result)]
    return { file, ms: result.wallMs, tests, output: readFileSync(outputPath, 'utf8').trimEnd() }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A process that ended early leaves tests without an end, and perhaps a last line that is cut short. */
function parseLines(text: string): readonly TestLine[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as TestLine)
}

/** The file itself as a failed test, when it ended in another way than its tests tell. */
function lostTests(file: string, lines: readonly TestLine[], result: RunResult): readonly TestEnd[] {
  const ended = new Set(lines.flatMap(line => (line.kind === 'end' ? [line.id] : [])))
  const hasFailure = lines.some(line => line.kind === 'end' && line.state === 'failed')
  const isDone = lines.some(line => line.kind === 'done')
  if (isDone && !result.isTimedOut && (result.exitCode === 0 || hasFailure)) return []
  const running = lines.flatMap(line => (line.kind === 'start' && !ended.has(line.id) ? [line.name] : []))
  const during = running.length === 0 ? '' : ` during: ${running.join(' › ')}`
  return [
    {
      name: file,
      state: 'failed',
      ms: result.wallMs,
      at: `${file}:1`,
      error: `The test file ${describeEnd(result)}${during}`,
    },
  ]
}
