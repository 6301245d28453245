/** Every adversarial program, watched by both observers, against one table of what must be seen. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { findTool, run, TOOL_ENV } from '../../src/sys/mod.ts'
import type { Captured } from '../fixtures/adversarial/capture-all.ts'
import { ADVERSARIAL, type Adversarial, type Expected } from '../fixtures/adversarial/table.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/adversarial')
const NOBODY = 65534
const isRoot = process.getuid?.() === 0

const folder = mkdtempSync(join(tmpdir(), 'asl-adversarial-'))
const programs = join(folder, 'programs')
/** Name → why it could not be built. */
const unbuilt = new Map<string, string>()

let built: Promise<unknown> | undefined

function buildAll(): Promise<unknown> {
  chmodSync(folder, 0o755)
  mkdirSync(programs, { recursive: true })
  built ??= Promise.all([...ADVERSARIAL, PROGRAM].map(buildProgram))
  return built
}
after(() => rmSync(folder, { recursive: true, force: true }))

const PROGRAM: Adversarial = { name: 'program', group: 'binaries' }

async function buildProgram({ name, argv, build }: Adversarial): Promise<void> {
  if (argv !== undefined && build === undefined && !argv[0]?.includes(name)) return
  const source = join(FIXTURES, build?.source ?? `${name}.c`)
  const result = await run(['gcc', '-O1', '-w', ...(build?.flags ?? []), '-o', join(programs, name), source], {
    env: { ...TOOL_ENV, TMPDIR: folder },
  })
  if (result.exitCode !== 0) unbuilt.set(name, result.stderr.toString().split('\n')[0] ?? 'gcc failed')
}

async function captureAll(who: 'root' | 'user'): Promise<Map<string, Captured>> {
  const work = join(folder, who)
  mkdirSync(work)
  const order = JSON.stringify({
    folder: work,
    programs,
    ...{ observer: who === 'root' ? 'fanotify' : 'strace', only: namesFor(who) },
  })
  const runner = [process.execPath, join(FIXTURES, 'capture-all.ts'), order]
  if (isRoot && who === 'user') chownSync(work, NOBODY, NOBODY)
  const as =
    isRoot && who === 'user' ? ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'] : []
  const result = await run([...as, ...runner], { env: TOOL_ENV, cwd: work, stderr: 'inherit' })
  assert.equal(result.exitCode, 0, `the runner ended with ${result.exitCode ?? result.signal}`)
  const lines = result.stdout.toString().trim().split('\n')
  return new Map(lines.map(line => JSON.parse(line) as Captured).map(captured => [captured.name, captured]))
}

function namesFor(who: 'root' | 'user'): readonly string[] {
  return ADVERSARIAL.filter(
    ({ name, isRootOnly }) => !unbuilt.has(name) && (who === 'root' || isRootOnly !== true),
  ).map(({ name }) => name)
}

for (const who of ['root', 'user'] as const) {
  const missing = ['gcc', ...(who === 'user' ? ['strace'] : ['unshare'])].find(tool => findTool(tool) === undefined)
  const skip = missing !== undefined ? `${missing} is missing` : who === 'root' && !isRoot ? 'root is missing' : false
  describe(`a command watched ${who === 'root' ? 'by fanotify as root' : 'by strace as an ordinary user'}`, {
    skip,
  }, () => {
    let captured = new Map<string, Captured>()
    before(async () => {
      await buildAll()
      captured = await captureAll(who)
    })
    for (const program of ADVERSARIAL) {
      if (program.isRootOnly === true && who === 'user') continue
      test(`${program.group}: ${program.name} has exactly the inputs and outputs of the table`, t => {
        const reason = unbuilt.get(program.name)
        if (reason !== undefined) return t.skip(`cannot be built here: ${reason}`)
        const seen = captured.get(program.name)
        assert.ok(seen !== undefined, 'the runner printed nothing for it')
        assert.equal(seen.observer, who === 'root' ? 'fanotify' : 'strace')
        assertSeen(seen, { ...program, ...program[who] }, program.end ?? 0)
      })
    }
  })
}

function assertSeen(seen: Captured, expected: Expected, end: number | string): void {
  assert.equal(seen.end, end)
  const isLate = seen.reasons.some(reason => reason === 'changed-while-read' || reason === 'old-content-lost')
  const late = isLate ? (expected.late ?? []) : []
  const inputs = (expected.inputs ?? []).filter(name => !late.includes(name) || seen.inputs.includes(name))
  assert.deepEqual(seen.inputs, inputs.toSorted(), 'inputs')
  assert.deepEqual(seen.outputs, (expected.outputs ?? []).toSorted(), 'outputs')
  assert.deepEqual(seen.layer, (expected.layer ?? []).toSorted(), 'layer')
  assert.deepEqual(seen.temporary, (expected.temporary ?? []).toSorted(), 'temporary files')
  const reasons = seen.reasons.filter(
    reason => late.length === 0 || !['changed-while-read', 'old-content-lost'].includes(reason),
  )
  assert.deepEqual(reasons, expected.reasons ?? [], 'reasons')
  for (const pattern of expected.special ?? [])
    assert.ok(
      seen.special.some(text => pattern.test(text)),
      `special ${pattern}`,
    )
}
