import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { tryReadFile } from '../../src/sys/mod.ts'
import { avoidableSkips, closingLine, fileLines, totalsOf } from './report.ts'
import { type FileResult, runFile } from './run-file.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const env = { PATH: '/usr/bin:/bin' }

function fixture(name: string, more: { timeoutMs?: number; env?: Record<string, string> } = {}): Promise<FileResult> {
  return runFile(`tests/fixtures/runner/${name}.fixture.ts`, { root: ROOT, env, timeoutMs: 60_000, ...more })
}

test('runFile() tells how each test ended, and counts a parent not again for its children', async () => {
  const result = await fixture('mixed')
  const states = Object.fromEntries(result.tests.map(({ name, state }) => [name, state]))
  assert.deepEqual(states, {
    passes: 'passed',
    'is skipped': 'skipped',
    fails: 'failed',
    'a parent › fails as a child': 'failed',
    'a suite › passes in a suite': 'passed',
  })
  assert.equal(closingLine(totalsOf([result])), '2 passed, 2 failed, 1 skipped')
})

test('a failure is printed once, with its place, its difference and what the file printed', async () => {
  const text = fileLines(await fixture('mixed')).join('\n')
  assert.equal(text.split('said by the child').length, 2)
  assert.match(text, /mixed\.fixture\.ts:6/)
  assert.match(text, /size: 1/)
  assert.match(text, /printed by the file/)
})

test('a file that ends before its tests are over is a failure that names its exit status', async () => {
  const result = await fixture('crash')
  const failed = result.tests.filter(({ state }) => state === 'failed')
  assert.equal(failed.length, 1)
  assert.match(failed[0]?.error ?? '', /status 7/)
})

test('a file that breaks before its first test is a failure', async () => {
  const result = await fixture('empty')
  assert.equal(totalsOf([result]).failed, 1)
  assert.match(fileLines(result).join('\n'), /broken before the first test/)
})

test('a file that hangs is ended with everything it started', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'asl-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const pidFile = join(folder, 'pid')
  const result = await fixture('hang', { timeoutMs: 3000, env: { ...env, PID_FILE: pidFile } })
  assert.match(result.tests.find(({ state }) => state === 'failed')?.error ?? '', /ran out of time during: hangs/)
  const pid = readFileSync(pidFile, 'utf8')
  // A killed process is still listed until the kernel has taken it down, which a busy machine does later.
  const isGone = (): boolean => {
    const text = tryReadFile(`/proc/${pid}/stat`)?.toString('latin1')
    return text === undefined || text.slice(text.lastIndexOf(')') + 2).startsWith('Z')
  }
  for (let tries = 0; tries < 200 && !isGone(); tries++) await setTimeout(25)
  assert.ok(isGone(), `the child ${pid} still runs`)
})

test('a skip counts as avoidable when its reason names a program of the host tool table that is not there', () => {
  const skipped = (reason: string): FileResult => ({
    file: 'x.test.ts',
    ms: 1,
    output: '',
    tests: [{ name: reason, state: 'skipped', ms: 1, at: 'x.test.ts:1', reason }],
  })
  const files = ['missing program: xorriso', 'needs root', 'gcc is missing', 'needs gcc-12'].map(skipped)
  const names = avoidableSkips(files, name => name !== 'xorriso' && name !== 'gcc').map(({ name }) => name)
  assert.deepEqual(names, ['missing program: xorriso', 'gcc is missing'])
})
