import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, TOOL_ENV } from '../sys/mod.ts'
import { type GuestArch, hostArch } from './guest-arch.ts'

export interface Accelerator {
  readonly kind: 'kvm' | 'tcg'
  /** Why, for the log of the boot. */
  readonly reason: string
}

/**
 * A guest of a few instructions that KVM must run to its end. /dev/kvm that opens proves little: where the host is
 * itself a guest, KVM may start and then meet an instruction that it has to emulate and cannot.
 *
 * amd64: Multiboot, 32-bit; uses SSE2 (which that emulation does not know), then writes 42 to the debug exit port, so
 * that QEMU ends with 42 << 1 | 1. arm64: PSCI SYSTEM_OFF, so that QEMU ends with 0.
 */
const PROBES: Readonly<Record<GuestArch, { code: string; args: readonly string[]; exitCode: number }>> = {
  amd64: {
    code: [
      '02b0ad1b 00000100 fe4f51e4', // Multiboot magic, flag "addresses follow", checksum
      '00001000 00001000 00000000 00000000 20001000', // header and load address 0x100000, whole file, entry +0x20
      '0f20e0 0d00060000 0f22e0', // cr4 |= OSFXSR | OSXMMEXCPT
      '660fefc0 660f74c0 660fd7c0', // pxor xmm0,xmm0; pcmpeqb xmm0,xmm0; pmovmskb eax,xmm0
      '66baf400 3dffff0000 7503 b02aee f4ebfd', // if (eax == 0xffff) outb(0xf4, 42); for (;;) hlt
    ].join(' '),
    args: ['-machine', 'q35', '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    exitCode: (42 << 1) | 1,
  },
  arm64: {
    code: '0080b052 00018072 020000d4 00000014', // movz w0,#0x8400,lsl 16; movk w0,#8; hvc #0; b .
    args: ['-machine', 'virt,gic-version=max'],
    exitCode: 0,
  },
}

const PROBE_TIMEOUT_MS = 5000

export interface ProbeHost {
  readonly qemuPath: string
  /** A private folder for the probe's kernel. */
  readonly scratch: string
  readonly signal?: AbortSignal | undefined
}

/** KVM where a guest of `arch` really runs under it, else software emulation. */
export async function chooseAccelerator(arch: GuestArch, host: ProbeHost): Promise<Accelerator> {
  if (hostArch() !== arch) return { kind: 'tcg', reason: `this host is not ${arch}` }
  const device = canOpen('/dev/kvm')
  if (device !== undefined) return { kind: 'tcg', reason: `/dev/kvm: ${device}` }
  const probe = PROBES[arch]
  const path = join(host.scratch, 'kvm-probe')
  writeFileSync(path, probeCode(arch))
  let hasInternalError = false
  const result = await run([host.qemuPath, ...probeArgs(arch, 'kvm', path)], {
    env: TOOL_ENV,
    timeoutMs: PROBE_TIMEOUT_MS,
    ...(host.signal === undefined ? {} : { signal: host.signal }),
    onStart(child) {
      child.stderr?.on('data', (chunk: Buffer) => {
        // QEMU stops the machine and stays: there is nothing to wait for
        hasInternalError ||= chunk.includes('KVM internal error')
        if (hasInternalError) child.kill('SIGKILL')
      })
    },
  })
  if (hasInternalError) return { kind: 'tcg', reason: 'KVM cannot run ordinary code on this host' }
  if (result.exitCode === probe.exitCode) return { kind: 'kvm', reason: 'a test guest ran under KVM' }
  return { kind: 'tcg', reason: `the test guest under KVM ${result.isTimedOut ? 'hung' : 'failed'}` }
}

export function probeCode(arch: GuestArch): Buffer {
  return Buffer.from(PROBES[arch].code.replaceAll(' ', ''), 'hex')
}

export function probeExitCode(arch: GuestArch): number {
  return PROBES[arch].exitCode
}

export function probeArgs(arch: GuestArch, accelerator: 'kvm' | 'tcg', kernelPath: string): string[] {
  return [
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-m', '128M'],
    ...['-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : 'max', ...PROBES[arch].args],
    ...['-kernel', kernelPath],
  ]
}

/** `undefined` when it opens, else the reason. */
function canOpen(path: string): string | undefined {
  try {
    closeSync(openSync(path, 'r+'))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
