/** What `--json` prints has the form that docs/reference/schemas/ publishes. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fakeContext } from '../../tests/fakes/context.ts'
import { checkAgainst } from '../../tests/fakes/json-schema.ts'
import { type ProgressEvent, run, TOOL_ENV } from '../sys/mod.ts'
import { runCommandLine } from './command-line.ts'
import { jsonProgress } from './progress.ts'
import { VERBS } from './verbs.ts'

const ROOT = fakeContext().projectRoot

test('asl doctor --json', async () => {
  const context = fakeContext()
  const status = await runCommandLine(context, ['doctor', '--json'], VERBS)
  const printed = JSON.parse(context.printed.join('')) as { readonly isReady: boolean }
  checkAgainst('doctor', printed)
  assert.equal(printed.isReady, status === 0)
  assert.throws(() => checkAgainst('doctor', { ...printed, isReady: 'yes' }))
})

test('a failure with --json', async () => {
  const argv = [process.execPath, join(ROOT, 'src', 'cli', 'main.ts'), 'doctor', '--json', '--colour']
  const result = await run(argv, { env: TOOL_ENV })
  assert.equal(result.exitCode, 2)
  checkAgainst('error', JSON.parse(result.stdout.toString('utf8')))
})

test('--progress json', () => {
  const events: readonly ProgressEvent[] = [
    { kind: 'plan', steps: 2 },
    { kind: 'step-start', id: 'a', title: 'first' },
    { kind: 'step-progress', id: 'a', bytesDone: 1, bytesTotal: 2 },
    { kind: 'note', text: 'half way' },
    { kind: 'step-end', id: 'a', state: 'built', ms: 12.5 },
  ]
  const lines: string[] = []
  const { report } = jsonProgress(line => lines.push(line), fakeContext().clock)
  for (const event of events) report(event)
  assert.equal(lines.length, events.length)
  for (const line of lines) checkAgainst('progress', JSON.parse(line))
  assert.throws(() => checkAgainst('progress', { elapsedMs: 1, kind: 'step-end', id: 'a' }))
})
