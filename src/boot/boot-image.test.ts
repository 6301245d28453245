import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type FakeQemuPart, fakeQemu } from '../../tests/fakes/qemu.ts'
import { systemClock } from '../sys/mod.ts'
import { type BootResult, bootImage, requireStatus } from './boot-image.ts'
import type { BootOptions } from './boot-options.ts'

const folder = mkdtempSync(join(tmpdir(), 'asl-boot-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const kernelPath = join(folder, 'kernel')
writeFileSync(kernelPath, 'a kernel')

test('a status on the port and an orderly end are a result', async () => {
  const result = await boot({ end: 'guest-shutdown', console: 'asl: hello\n', status: '{"status":4,"message":"x"}\n' })
  assert.equal(result.end, 'powered-off')
  assert.deepEqual(requireStatus(result), { status: 4, message: 'x' })
  assert.deepEqual(result.aslLines, ['asl: hello'])
})

test('a status on the console will do where there is no port', async () => {
  const result = await boot({ end: 'guest-shutdown', console: '[    3.1] asl: selftest status 0\r\n' })
  assert.deepEqual(requireStatus(result), { status: 0 })
})

test('a guest that says nothing has failed, and the last lines of its console are shown', async () => {
  const result = await boot({ end: 'guest-shutdown', console: 'one\ntwo\n' })
  assert.throws(() => requireStatus(result), {
    code: 'BOOT_FAILED',
    message: /powered off without reporting a status\n {2}\| one\n {2}\| two/,
  })
})

test('two statuses that differ, two lines on the port, and a status that is no number are failures', async () => {
  for (const [part, message] of [
    [{ console: 'asl: selftest status 1\n', status: '{"status":0}\n' }, /several statuses: 0, 1/],
    [{ console: 'asl: selftest status 1\nasl: selftest status 0\n' }, /several statuses: 1, 0/],
    [{ status: '{"status":0}\n{"status":0}\n' }, /2 lines/],
    [{ status: '{"status":"0"}\n' }, /status "0"/],
    [{ status: '{"status":126}\n' }, /wanted 0 to 125/],
    [{ status: 'ok\n' }, /not JSON/],
    [{ status: '[0]\n' }, /no JSON object/],
  ] as const) {
    const result = await boot({ end: 'guest-shutdown', ...part })
    assert.throws(() => requireStatus(result), { code: 'BOOT_FAILED', message })
  }
})

test('a reset is no orderly end, whatever status came before', async () => {
  const result = await boot({ end: 'guest-reset', status: '{"status":0}\n' })
  assert.equal(result.end, 'reset')
  assert.throws(() => requireStatus(result), { code: 'BOOT_FAILED', message: /reset the machine.*reported status 0/ })
})

test('firmware that finds nothing to boot ends the machine at once', async () => {
  for (const line of ['UEFI Interactive Shell v2.2', 'No bootable device.']) {
    const result = await boot({ end: 'stays', console: `${line}\n` })
    assert.equal(result.end, 'stuck')
    assert.match(result.reason, /the firmware found nothing to boot/)
  }
})

test('a kernel panic ends the machine at once and is the reason', async () => {
  const result = await boot({ end: 'stays', console: 'Kernel panic - not syncing: no init\n---[ end ]---\n' })
  assert.equal(result.end, 'stuck')
  assert.match(result.reason, /the kernel panicked/)
})

test('an oops that only an emulator can cause starts the machine once more, and not a third time', async () => {
  const restarts: string[] = []
  const panic = 'Oops: int3: 0000 [#2] PREEMPT SMP\nKernel panic - not syncing: Fatal exception\n'
  const result = await boot({ end: 'guest-reset', console: panic }, { onRestart: reason => restarts.push(reason) })
  assert.equal(restarts.length, 1)
  assert.equal(result.end, 'reset')
  assert.throws(() => requireStatus(result), { code: 'BOOT_FAILED', message: /the kernel panicked/ })
})

test('a machine that outlives its time limit is stopped, even when it does not listen', async () => {
  for (const end of ['stays', 'ignores-quit'] as const) {
    const result = await boot({ end, console: 'waiting\n' }, { timeoutMs: 600, quitGraceMs: 200 })
    assert.equal(result.end, 'timed-out')
    assert.throws(() => requireStatus(result), { code: 'BOOT_FAILED', message: /after 0\.6 s\n {2}\| waiting/ })
  }
})

test('an internal error of the accelerator ends the machine', async () => {
  const result = await boot({ end: 'internal-error' })
  assert.equal(result.end, 'machine-failed')
})

test('a QEMU that does not start is told with what it said', async () => {
  const result = await boot({ end: 'crashes' })
  assert.equal(result.end, 'machine-failed')
  assert.match(result.reason, /status 1: qemu: could not open something/)
})

test('the console reaches the caller by line and the log unchanged', async () => {
  const said = '\x1b[2J\x1b[1;32mgreen\x1b[0m\r\ntail without end'
  const lines: string[] = []
  const consoleLogPath = join(folder, 'console.log')
  await boot({ end: 'guest-shutdown', console: said }, { consoleLogPath, onConsoleLine: line => lines.push(line) })
  assert.deepEqual(lines, ['green', 'tail without end'])
  assert.equal(readFileSync(consoleLogPath, 'utf8'), said)
})

test('nothing is left of the machine: no variables, no empty disks', async () => {
  const scratchParent = join(folder, 'scratch')
  await boot({ end: 'guest-shutdown' }, { scratchParent, disks: [{ sizeBytes: 2 ** 30 }] })
  assert.deepEqual(readdirSync(scratchParent), [])
})

test('words reach a directly booted kernel on its command line, and only plain words are taken', async () => {
  await boot({ end: 'guest-shutdown' }, { words: ['asl.selftest'] })
  const argv = JSON.parse(readFileSync(join(folder, 'argv.json'), 'utf8')) as string[]
  assert.equal(argv[argv.indexOf('-append') + 1], 'console=ttyS0 asl.selftest')
  for (const word of ['two words', '', '-x', 'quote"', 'line\nbreak', 'a'.repeat(300)]) {
    await assert.rejects(boot({ end: 'guest-shutdown' }, { words: [word] }), { code: 'USAGE' })
  }
})

test('a missing image or program is an error before anything starts', async () => {
  const absent = join(folder, 'absent')
  const image = { path: absent, format: 'raw', medium: 'disk', access: 'read-only' } as const
  await assert.rejects(boot({ end: 'guest-shutdown' }, { image }), { code: 'PATH_NOT_FOUND', message: /absent/ })
  await assert.rejects(boot({ end: 'guest-shutdown' }, { qemuPath: absent }), { code: 'TOOL_MISSING' })
})

function boot(part: FakeQemuPart, more: Partial<BootOptions> = {}): Promise<BootResult> {
  return bootImage({
    arch: 'amd64',
    firmware: 'kernel',
    kernel: { kernelPath, commandLine: 'console=ttyS0' },
    memoryMib: 128,
    accelerator: 'tcg',
    console: 'capture',
    timeoutMs: 30_000,
    fatalGraceMs: 50,
    scratchParent: folder,
    clock: systemClock,
    qemuPath: fakeQemu(folder, part),
    ...more,
  })
}
