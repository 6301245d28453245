/** Runs what the documents tell people to type, as they would: in a shell, in the checkout. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { run, TOOL_ENV } from '../../src/sys/mod.ts'
import { blocksToRun } from '../documented-commands.ts'

const ROOT = join(import.meta.dirname, '..', '..')

for (const { file, line, commands } of blocksToRun(ROOT, 'run')) {
  test(`${file}:${line} works as documented`, { timeout: 300_000 }, async () => {
    const script = commands.join('\n')
    const result = await run(['sh', '-eu', '-c', script], {
      env: { ...TOOL_ENV, HOME: process.env.HOME ?? '/nonexistent' },
      cwd: ROOT,
      isGroup: true,
    })
    assert.equal(result.exitCode, 0, `${script}\n${result.stdout}${result.stderr}`)
  })
}
