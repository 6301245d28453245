import type { Clock } from '../sys/mod.ts'
import type { Accelerator } from './accelerator.ts'
import type { UefiFirmware } from './firmware.ts'
import type { GuestArch } from './guest-arch.ts'
import type { BootFirmware, MachineDisk, MachineImage, MachineKernel } from './machine.ts'

export interface BootOptions {
  readonly arch: GuestArch
  readonly firmware: BootFirmware
  readonly image?: MachineImage
  /** With firmware `kernel`. */
  readonly kernel?: MachineKernel
  /** Files, or sizes of empty disks that are gone afterwards. */
  readonly disks?: readonly (MachineDisk | { readonly sizeBytes: number })[]
  /** Tokens for the guest, such as `asl.selftest`. */
  readonly words?: readonly string[]
  readonly memoryMib: number
  /** Default 2: systemd starts services side by side. */
  readonly cpus?: number
  readonly accelerator?: 'auto' | 'kvm' | 'tcg'
  /** QEMU's name of a processor model, when the default is not wanted. */
  readonly cpu?: string
  /** Other firmware than the host's own: with Secure Boot, for instance. */
  readonly uefi?: UefiFirmware
  /** `terminal` connects the guest's console to this process' terminal: no lines, no log, no end on a panic. */
  readonly console: 'capture' | 'terminal'
  /** Everything the console said, unchanged. */
  readonly consoleLogPath?: string
  readonly onConsoleLine?: (line: string) => void
  readonly onStart?: (accelerator: Accelerator) => void
  /** The emulator, not the guest, has failed, and the machine starts once more. */
  readonly onRestart?: (reason: string) => void
  readonly timeoutMs?: number
  /** After a fatal line: long enough for the trace behind it, and for a guest that resets by itself. Default 3 s. */
  readonly fatalGraceMs?: number
  /** From the request to quit to SIGKILL. Default 5 s. */
  readonly quitGraceMs?: number
  /** Where private folders for this machine may be made; removed at the end. */
  readonly scratchParent: string
  readonly signal?: AbortSignal
  readonly clock: Clock
  /** Another QEMU than the host's. */
  readonly qemuPath?: string
  /** Further arguments of QEMU, for tests of special hardware. */
  readonly extraArgs?: readonly string[]
}
