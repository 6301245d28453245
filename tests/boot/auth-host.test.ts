/** The authority host in a machine: it verifies its own history before general services start. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { asl, buildSharedImage, damagedCopy, IMAGE } from '../image-build.ts'
import { needs } from '../needs.ts'

const TIMEOUT_S = '420'
const skip = needs('qemu-system-x86_64')
const folder = mkdtempSync(join(tmpdir(), 'asl-boot-'))

before(async () => {
  if (skip === false) await buildSharedImage()
})
after(() => rmSync(folder, { recursive: true, force: true }))

for (const firmware of ['bios', 'uefi']) {
  test(`the ISO boots under ${firmware}, verifies its history and reports 0`, { skip, timeout: 600_000 }, async () => {
    const log = join(folder, `${firmware}.log`)
    const result = await asl('boot', IMAGE, '--selftest', '--firmware', firmware, '--timeout', TIMEOUT_S, '--log', log)
    const said = `${result.stdout}${result.stderr}`
    assert.equal(result.exitCode, 0, `${said}\n${lastLines(log)}`)
    assert.match(said, /asl: history verified: \d+ artifacts, \d+ receipts, root 0001[0-9a-f]{64}/)
  })
}

test('one byte flipped inside the history stops the boot before general services and names the artifact', {
  skip,
  timeout: 600_000,
}, async () => {
  const damaged = join(folder, 'damaged.iso')
  const reference = damagedCopy(damaged)
  const log = join(folder, 'damaged.log')
  const result = await asl('boot', damaged, '--selftest', '--timeout', TIMEOUT_S, '--log', log)
  const console = readFileSync(log, 'utf8')
  assert.notEqual(result.exitCode, 0)
  assert.ok(console.includes(reference), `the console names ${reference}\n${lastLines(log)}`)
  assert.match(console, /HISTORY NOT VERIFIED\. No general service was started\./)
  assert.doesNotMatch(console, /Reached target .*(Multi-User System|Basic System)/)
})

function lastLines(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-40).join('\n')
}
