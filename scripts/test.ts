/**
 * Runs the tests: `scripts/node scripts/test.ts [check|unit|integration|boot]… [FILE…]`, everything when nothing is
 * named. Exits 0 when nothing failed; with CI=true in the environment also only when no test was skipped for lack of
 * a program that a package would bring.
 */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { exitStatusOf, isAslError } from '../src/core/mod.ts'
import { describeEnd, run } from '../src/sys/mod.ts'
import { filesOf, TEST_CLASSES, type TestClass } from './test/classes.ts'
import { avoidableSkips, type ClassResult, closingLine, fileLines, summaryLines, totalsOf } from './test/report.ts'
import { type FileResult, runFile } from './test/run-file.ts'

const ROOT = join(import.meta.dirname, '..')
const CHECK_LIMIT_MS = 180_000
/** Run before the tests, and counted as tests. */
const CHECKS = [
  { name: 'types', argv: ['node_modules/typescript/bin/tsc', '--noEmit'] },
  { name: 'lint and format', argv: ['node_modules/@biomejs/biome/bin/biome', 'check', 'src', 'tests', 'scripts'] },
]

const env = Object.fromEntries(
  Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
)
/** On a terminal the last line shows the files that run; it is erased before anything else is said. */
const isTerminal = process.stdout.isTTY === true
const ERASE_LINE = isTerminal ? '\r\x1b[K' : ''
const sayRunning = (files: ReadonlySet<string>): void => {
  const text = `  … ${[...files].join(' ')}`
  if (isTerminal && files.size > 0)
    process.stdout.write(`${ERASE_LINE}${text.slice(0, (process.stdout.columns || 80) - 1)}`)
}
const say = (lines: readonly string[]): void =>
  void process.stdout.write(ERASE_LINE + lines.map(line => `${line}\n`).join(''))
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(1) // nobody reads on, so nobody would see the result
})
/** Tests run in process groups of their own, so they do not hear the terminal's Ctrl-C: it is handed on. */
const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => abort.abort())
process.exitCode = await main(process.argv.slice(2)).catch(error => {
  if (!isAslError(error, 'INTERRUPTED')) throw error
  say(['', 'interrupted'])
  return exitStatusOf('INTERRUPTED')
})

async function main(words: readonly string[]): Promise<number> {
  const files = words.filter(word => word.endsWith('.ts'))
  const names = words.filter(word => !word.endsWith('.ts'))
  const known = TEST_CLASSES.flatMap(testClass => filesOf(testClass, ROOT))
  const lost = files.find(file => !known.includes(file))
  if (lost !== undefined) {
    say([`no such test file: ${lost}; files are named from ${ROOT} and belong to a class`])
    return 2
  }
  const unknown = names.find(name => name !== 'check' && !TEST_CLASSES.some(known => known.name === name))
  if (unknown !== undefined) {
    say([`no such class of tests: ${unknown}; there are check, ${TEST_CLASSES.map(({ name }) => name).join(', ')}`])
    return 2
  }
  const wants = (name: string): boolean => (words.length === 0 || names.includes(name)) && files.length === 0
  const classes: ClassResult[] = wants('check') ? [await runChecks()] : []
  for (const testClass of TEST_CLASSES) {
    const chosen = filesOf(testClass, ROOT).filter(file => wants(testClass.name) || files.includes(file))
    if (chosen.length > 0) classes.push(await runClass(testClass, chosen))
  }
  return conclude(classes)
}

async function runChecks(): Promise<ClassResult> {
  const results: FileResult[] = []
  say(['check'])
  for (const { name, argv } of CHECKS) {
    const result = await run([process.execPath, ...argv], {
      env,
      cwd: ROOT,
      timeoutMs: CHECK_LIMIT_MS,
      isGroup: true,
      signal: abort.signal,
    })
    const common = { name, ms: result.wallMs, at: argv.join(' ') }
    const said = `${result.stdout}${result.stderr}`.trimEnd()
    const test =
      result.exitCode === 0
        ? ({ ...common, state: 'passed' } as const)
        : ({ ...common, state: 'failed', error: `${said}\n${name}: ${describeEnd(result)}` } as const)
    results.push({ file: name, ms: result.wallMs, tests: [test], output: '' })
    say(fileLines(results.at(-1) as FileResult))
  }
  return { name: 'check', ms: results.reduce((sum, { ms }) => sum + ms, 0), files: results }
}

async function runClass(testClass: TestClass, files: readonly string[]): Promise<ClassResult> {
  const startedMs = performance.now()
  const leftMs = (): number => Math.min(testClass.fileLimitMs, testClass.limitMs - (performance.now() - startedMs))
  const lanes = Math.min(testClass.filesAtOnce, availableParallelism())
  say(['', `${testClass.name}: ${files.length} file${files.length === 1 ? '' : 's'}`])
  const queue = [...files]
  const results: FileResult[] = []
  const running = new Set<string>()
  const lane = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined && !abort.signal.aborted; file = queue.shift()) {
      running.add(file)
      sayRunning(running)
      const result =
        leftMs() > 0
          ? await runFile(file, { root: ROOT, env, timeoutMs: leftMs(), signal: abort.signal })
          : notStarted(file, testClass)
      running.delete(file)
      results.push(result)
      say(fileLines(result))
      sayRunning(running)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return { name: testClass.name, ms: performance.now() - startedMs, files: results }
}

function notStarted(file: string, { name, limitMs }: TestClass): FileResult {
  const error = `Not started: the ${limitMs / 60_000} minutes of the ${name} tests were used up`
  return { file, ms: 0, tests: [{ name: file, state: 'failed', ms: 0, at: `${file}:1`, error }], output: '' }
}

function conclude(classes: readonly ClassResult[]): number {
  const files = classes.flatMap(({ files }) => files)
  const totals = totalsOf(files)
  const avoidable = process.env.CI === 'true' ? avoidableSkips(files) : []
  say(summaryLines(classes))
  if (avoidable.length > 0) {
    say([
      '',
      `${avoidable.length} of the skipped tests would have run with a package installed; in CI that counts as failure`,
    ])
  }
  say(['', closingLine(totals)])
  return totals.failed > 0 || avoidable.length > 0 ? 1 : 0
}
