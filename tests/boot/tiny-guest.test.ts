/** The machine itself, with real QEMU and real firmware, and a guest of a few instructions instead of an operating system. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { probeArgs, probeCode, probeExitCode } from '../../src/boot/accelerator.ts'
import { type BootMedium, type BootResult, bootImage, type MachineImage, requireStatus } from '../../src/boot/mod.ts'
import { bufferSource, openFat, openIso9660, partOf } from '../../src/formats/mod.ts'
import { findTool, run, systemClock, TOOL_ENV } from '../../src/sys/mod.ts'
import { type TinyGuestEnd, tinyGuestIso } from '../fakes/tiny-guest.ts'

const skip = findTool('qemu-system-x86_64') === undefined && 'qemu-system-x86_64'
const folder = mkdtempSync(join(tmpdir(), 'asl-tiny-guest-'))
after(() => rmSync(folder, { recursive: true, force: true }))

for (const firmware of ['bios', 'uefi'] as const) {
  for (const medium of ['cdrom', 'usb', 'disk'] as const) {
    test(`an image boots as ${medium} under ${firmware}, and its status comes back`, { skip }, async () => {
      const result = await boot('asl: selftest status 7\r\n', { firmware, medium })
      assert.equal(result.end, 'powered-off', result.lastLines.join('\n'))
      assert.deepEqual(requireStatus(result), { status: 7 })
    })
  }
}

test('a guest that resets, or hangs, is told from one that powers off', { skip }, async () => {
  const reset = await boot('asl: selftest status 0\r\n', { end: 'reset' })
  assert.equal(reset.end, 'reset')
  const hung = await boot('asl: here I stay\r\n', { end: 'hang', timeoutMs: 4000 })
  assert.equal(hung.end, 'timed-out')
  assert.deepEqual(hung.aslLines, ['asl: here I stay'])
})

test('a guest that writes to its disk changes the image only where that is asked for', { skip }, async () => {
  const path = join(folder, 'writes.iso')
  const image = tinyGuestIso('', { writesToDisk: true })
  for (const [access, isChanged] of [
    ['throw-away', false],
    ['write', true],
  ] as const) {
    writeFileSync(path, image)
    assert.equal((await boot('', { path, medium: 'disk', access })).end, 'powered-off')
    assert.equal(readFileSync(path).equals(image), !isChanged, access)
  }
})

test('a machine that the user stops is stopped', { skip }, async () => {
  const stop = new AbortController()
  const stopped = boot('asl: hello\r\n', { end: 'hang', signal: stop.signal, onConsoleLine: () => stop.abort() })
  await assert.rejects(stopped, { code: 'INTERRUPTED' })
})

test('our readers find in the image what the firmware finds', () => {
  const iso = openIso9660(bufferSource(tinyGuestIso('x'), 'tiny.iso'))
  const [bios, uefi] = iso.bootEntries()
  assert.deepEqual([bios?.platform, uefi?.platform], ['bios', 'uefi'])
  const esp = openFat(partOf(iso.source, uefi!.extent, 'ESP'))
  assert.ok(esp.tryFind('EFI/BOOT/BOOTX64.EFI') !== undefined)
})

test('the choice of KVM rests on a guest that runs: the same one runs in emulation', { skip }, async () => {
  for (const [arch, program] of [
    ['amd64', 'qemu-system-x86_64'],
    ['arm64', 'qemu-system-aarch64'],
  ] as const) {
    const qemu = findTool(program)
    if (qemu === undefined) continue
    const path = join(folder, `probe-${arch}`)
    writeFileSync(path, probeCode(arch))
    const result = await run([qemu, ...probeArgs(arch, 'tcg', path)], { env: TOOL_ENV, timeoutMs: 30_000 })
    assert.equal(result.exitCode, probeExitCode(arch), `${arch}: ${result.stderr}`)
  }
})

interface Given {
  readonly firmware?: 'bios' | 'uefi'
  readonly medium?: BootMedium
  readonly end?: TinyGuestEnd
  readonly path?: string
  readonly access?: MachineImage['access']
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly onConsoleLine?: (line: string) => void
}

function boot(text: string, given: Given = {}): Promise<BootResult> {
  const { firmware = 'bios', medium = 'cdrom', end, path = join(folder, 'tiny.iso'), ...rest } = given
  const { access = medium === 'disk' ? 'throw-away' : 'read-only', ...more } = rest
  if (given.path === undefined) writeFileSync(path, tinyGuestIso(text, end === undefined ? {} : { end }))
  return bootImage({
    arch: 'amd64',
    firmware,
    image: { path, format: 'raw', medium, access },
    memoryMib: 256,
    accelerator: 'tcg',
    console: 'capture',
    timeoutMs: 60_000,
    scratchParent: folder,
    clock: systemClock,
    ...more,
  })
}
