/** What the test run says: a line for each file, each failure in full and once, and the summary. */
import { findTool, HOST_TOOLS } from '../../src/sys/mod.ts'
import type { FileResult, TestEnd } from './run-file.ts'

export interface ClassResult {
  readonly name: string
  readonly ms: number
  readonly files: readonly FileResult[]
}

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const SLOWEST = 10
const SLOW_MS = 100

export function totalsOf(files: readonly FileResult[]): Totals {
  const count = (state: TestEnd['state']): number =>
    files.reduce((sum, file) => sum + file.tests.filter(test => test.state === state).length, 0)
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') }
}

/** One line for a file that has ended; its failures follow in full. */
export function fileLines(result: FileResult): readonly string[] {
  const { passed, failed, skipped } = totalsOf([result])
  const counts = [`${passed} passed`, failed > 0 ? `${failed} failed` : '', skipped > 0 ? `${skipped} skipped` : '']
  const state = failed > 0 ? 'FAILED' : 'ok'
  const lines = [`  ${state.padEnd(7)}${result.file}  ${counts.filter(Boolean).join(', ')}, ${seconds(result.ms)}`]
  for (const test of result.tests) {
    if (test.state !== 'failed') continue
    lines.push(
      '',
      `    ✗ ${test.name}`,
      `      at ${test.at}`,
      ...indent(test.error ?? 'failed and did not say why', 6),
    )
  }
  if (failed > 0 && result.output !== '') lines.push('', '    it printed:', ...indent(lastLines(result.output, 200), 6))
  return failed > 0 ? [...lines, ''] : lines
}

export function summaryLines(classes: readonly ClassResult[]): readonly string[] {
  const files = classes.flatMap(({ files }) => files)
  const tests = files.flatMap(file => file.tests.map(test => ({ ...test, file: file.file })))
  const lines = ['', 'time by class']
  for (const { name, ms, files } of classes) {
    const { passed, failed, skipped } = totalsOf(files)
    lines.push(`  ${name.padEnd(12)}${seconds(ms).padStart(9)}  ${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
  const slowest = tests
    .filter(({ ms }) => ms >= SLOW_MS)
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, SLOWEST)
  if (slowest.length > 0) lines.push('', 'slowest tests')
  for (const test of slowest) {
    lines.push(`  ${seconds(test.ms).padStart(9)}  ${test.file}: ${test.name}`)
  }
  const skipped = tests.filter(test => test.state === 'skipped')
  if (skipped.length > 0) lines.push('', 'skipped')
  for (const test of skipped) lines.push(`  ${test.file}: ${test.name}: ${test.reason}`)
  const failed = tests.filter(test => test.state === 'failed')
  if (failed.length > 0) lines.push('', 'failed')
  for (const test of failed) lines.push(`  ${test.file}: ${test.name}`)
  return lines
}

export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/**
 * The skipped tests whose reason names a program or file of the host tool table that this host lacks: a package
 * would have let them run.
 */
export function avoidableSkips(files: readonly FileResult[], isPresent = isOnHost): readonly TestEnd[] {
  const missing = HOST_TOOLS.map(({ name }) => name).filter(name => !isPresent(name))
  return files
    .flatMap(({ tests }) => tests)
    .filter(({ state, reason = '' }) => state === 'skipped' && missing.some(name => mentions(reason, name)))
}

function isOnHost(name: string): boolean {
  return findTool(name) !== undefined
}

function mentions(reason: string, name: string): boolean {
  const at = reason.indexOf(name)
  return at >= 0 && !/[\w.-]/.test(reason.charAt(at - 1)) && !/[\w-]/.test(reason.charAt(at + name.length))
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

function indent(text: string, width: number): readonly string[] {
  return text.split('\n').map(line => ' '.repeat(width) + line)
}

function lastLines(text: string, count: number): string {
  const lines = text.split('\n')
  return lines.length <= count ? text : [`[${lines.length - count} lines left out]`, ...lines.slice(-count)].join('\n')
}
