/**
 * Boot: what makes a root bootable, and the machine that tries it. Words: *machine* (one QEMU process), *medium* (how
 * the image is attached), *word* (a token for the guest, as on a kernel command line), *status* (the number the guest
 * reports before it powers off). The guest's side of the contract is docs/spec/boot-test.md.
 *
 * A guest that says nothing has failed. No machine has a network device.
 */
export { type Accelerator, chooseAccelerator } from './accelerator.ts'
export { type BootResult, bootImage, requireStatus } from './boot-image.ts'
export type { BootOptions } from './boot-options.ts'
export { findUefiFirmware, type UefiFirmware } from './firmware.ts'
export { ARCH_FACTS, type GuestArch, hostArch, parseGuestArch } from './guest-arch.ts'
export { type GuestStatus, parseStatusLine, tryAslLine } from './guest-status.ts'
export type { BootFirmware, MachineDisk, MachineImage, MachineKernel } from './machine.ts'
export { type BootMedium, detectMedium, diskFormatOf } from './medium.ts'
export type { BootEnd } from './observer.ts'
