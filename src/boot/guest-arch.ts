import { arch as processArch } from 'node:process'
import { AslError } from '../core/mod.ts'

/** Debian's names of the machines an image is made for. */
export type GuestArch = 'amd64' | 'arm64'

export interface ArchFacts {
  /** What QEMU and the kernel call it. */
  readonly machineName: 'x86_64' | 'aarch64'
  readonly qemu: string
  readonly qemuPackage: string
  readonly firmwarePackage: string
  /** The first serial port, in the form of `console=`. */
  readonly serialConsole: string
  readonly defaultFirmware: 'bios' | 'uefi'
}

export const ARCH_FACTS: Readonly<Record<GuestArch, ArchFacts>> = {
  amd64: {
    machineName: 'x86_64',
    qemu: 'qemu-system-x86_64',
    qemuPackage: 'qemu-system-x86',
    firmwarePackage: 'ovmf',
    serialConsole: 'ttyS0,115200',
    defaultFirmware: 'bios',
  },
  arm64: {
    machineName: 'aarch64',
    qemu: 'qemu-system-aarch64',
    qemuPackage: 'qemu-system-arm',
    firmwarePackage: 'qemu-efi-aarch64',
    serialConsole: 'ttyAMA0,115200',
    defaultFirmware: 'uefi',
  },
}

export function parseGuestArch(text: string): GuestArch {
  if (text === 'amd64' || text === 'arm64') return text
  throw new AslError('USAGE', `There is no architecture "${text}": it is amd64 or arm64`)
}

/** The architecture of this machine, when it is one of ours. */
export function hostArch(): GuestArch | undefined {
  return processArch === 'x64' ? 'amd64' : processArch === 'arm64' ? 'arm64' : undefined
}
