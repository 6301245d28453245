import { AslError } from '../core/mod.ts'
import type { UefiFirmware } from './firmware.ts'
import type { GuestArch } from './guest-arch.ts'
import type { BootMedium } from './medium.ts'

/** What starts first: SeaBIOS, EDK II, or the kernel given by the caller. */
export type BootFirmware = 'bios' | 'uefi' | 'kernel'

export interface MachineImage {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
  readonly medium: BootMedium
  /** `throw-away` lets the guest write, into a temporary file that is forgotten: the image itself never changes. */
  readonly access: 'read-only' | 'throw-away' | 'write'
}

export interface MachineDisk {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
}

export interface MachineKernel {
  readonly kernelPath: string
  readonly initrdPath?: string
  readonly commandLine: string
}

/** One machine, complete: {@link machineArgv} adds nothing that depends on this host. */
export interface Machine {
  readonly qemuPath: string
  readonly arch: GuestArch
  readonly accelerator: 'kvm' | 'tcg'
  readonly cpu: string
  readonly cpus: number
  readonly memoryMib: number
  readonly firmware: BootFirmware
  /** With `uefi`; `varsPath` is this machine's own copy. */
  readonly uefi?: UefiFirmware
  readonly image?: MachineImage
  readonly kernel?: MachineKernel
  readonly disks: readonly MachineDisk[]
  /** Words for the guest, see docs/spec/boot-test.md. */
  readonly words: readonly string[]
  /** Where the serial console goes: a descriptor that is a socket, or this terminal. */
  readonly console: { readonly fd: number } | 'terminal'
  /** Descriptors of the machine monitor and of the status port. */
  readonly monitorFd: number
  readonly statusFd: number
  readonly extraArgs: readonly string[]
}

/** The port's name: udev makes it /dev/virtio-ports/asl.status. */
export const STATUS_PORT = 'asl.status'
/** Words as a firmware configuration item: /sys/firmware/qemu_fw_cfg/by_name/opt/asl/cmdline/raw. */
export const WORDS_ITEM = 'opt/asl/cmdline'
/** Words as a credential of systemd: /run/credentials/@system/asl.cmdline. */
export const WORDS_CREDENTIAL = 'asl.cmdline'

/** The command line of the QEMU process. Equal machines give equal lines. */
export function machineArgv(machine: Machine): string[] {
  return [
    machine.qemuPath,
    // nothing but what stands here: no host configuration, no default network, disk, display or USB
    ...['-no-user-config', '-nodefaults', '-nic', 'none', '-display', 'none', '-no-reboot'],
    ...[
      '-machine',
      machine.arch === 'amd64' ? 'q35' : `virt${machine.accelerator === 'kvm' ? ',gic-version=max' : ''}`,
    ],
    ...['-accel', machine.accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm', '-cpu', machine.cpu],
    ...['-smp', String(machine.cpus), '-m', `${machine.memoryMib}M`],
    ...firmwareArgs(machine),
    ...consoleArgs(machine),
    ...['-chardev', `socket,id=monitor,fd=${machine.monitorFd}`, '-mon', 'chardev=monitor,mode=control'],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=status,fd=${machine.statusFd}`],
    ...['-device', `virtserialport,chardev=status,name=${STATUS_PORT}`],
    ...['-device', 'virtio-rng-pci'],
    ...imageArgs(machine),
    ...machine.disks.flatMap((disk, index) => [
      ...['-drive', drive({ id: `disk${index}`, format: disk.format }, disk.path)],
      ...['-device', `virtio-blk-pci,drive=disk${index},serial=asl-disk${index}`],
    ]),
    ...wordArgs(machine),
    ...machine.extraArgs,
  ]
}

function firmwareArgs(machine: Machine): string[] {
  const { firmware, kernel, uefi } = machine
  if (firmware === 'bios') {
    if (machine.arch === 'amd64') return ['-vga', 'std']
    throw new AslError('USAGE', `${machine.arch} machines have no BIOS: use --firmware uefi`)
  }
  if (firmware === 'uefi') {
    if (uefi === undefined) throw new Error('a UEFI machine wants its firmware')
    return [
      ...['-drive', drive({ if: 'pflash', unit: '0', format: uefi.codeFormat, readonly: 'on' }, uefi.codePath)],
      ...['-drive', drive({ if: 'pflash', unit: '1', format: uefi.varsFormat }, uefi.varsPath)],
      ...(machine.arch === 'amd64' ? ['-vga', 'std'] : ['-device', 'virtio-gpu-pci']),
    ]
  }
  if (kernel === undefined) throw new AslError('USAGE', 'A direct kernel boot wants a kernel: --kernel FILE')
  const line = [kernel.commandLine, ...machine.words].filter(part => part !== '').join(' ')
  return [
    ...['-kernel', kernel.kernelPath],
    ...(kernel.initrdPath === undefined ? [] : ['-initrd', kernel.initrdPath]),
    ...(line === '' ? [] : ['-append', line]),
  ]
}

function consoleArgs({ console: target }: Machine): string[] {
  const chardev = target === 'terminal' ? 'stdio,id=console,mux=on,signal=off' : `socket,id=console,fd=${target.fd}`
  const monitor = target === 'terminal' ? ['-mon', 'chardev=console,mode=readline'] : []
  return ['-chardev', chardev, '-serial', 'chardev:console', ...monitor]
}

function imageArgs({ arch, image }: Machine): string[] {
  if (image === undefined) return []
  const options: Record<string, string> = { id: 'image', format: image.format }
  if (image.access === 'throw-away') options.snapshot = 'on'
  if (image.access === 'read-only') options.readonly = 'on'
  const backend = ['-drive', drive(image.medium === 'cdrom' ? { ...options, media: 'cdrom' } : options, image.path)]
  switch (image.medium) {
    case 'cdrom':
      return arch === 'amd64'
        ? [...backend, '-device', 'ide-cd,bus=ide.0,drive=image,bootindex=0']
        : [...backend, '-device', 'virtio-scsi-pci,id=scsi', '-device', 'scsi-cd,bus=scsi.0,drive=image,bootindex=0']
    case 'usb':
      return [
        ...[...backend, '-device', 'qemu-xhci,id=usb'],
        ...['-device', 'usb-storage,bus=usb.0,drive=image,removable=on,bootindex=0'],
      ]
    case 'disk':
      return [...backend, '-device', 'virtio-blk-pci,drive=image,serial=asl-image,bootindex=0']
  }
}

/**
 * How words reach a guest whose command line lies in the image: as a firmware configuration item for guests that load
 * the driver, and as an SMBIOS string in the form that systemd takes as a credential. Both work under BIOS and UEFI, and
 * the image stays as it is (docs/decisions/boot-test-channels.md).
 */
function wordArgs({ firmware, words }: Machine): string[] {
  if (words.length === 0 || firmware === 'kernel') return []
  const line = escaped(words.join(' '))
  return [
    ...['-fw_cfg', `name=${WORDS_ITEM},string=${line}`],
    ...['-smbios', `type=11,value=io.systemd.credential:${WORDS_CREDENTIAL}=${line}`],
  ]
}

/** A -drive value. The file is named in full, so that a path with a colon is no protocol. */
function drive(options: Readonly<Record<string, string>>, path: string): string {
  const all = { ...('if' in options ? {} : { if: 'none' }), ...options, 'file.driver': 'file', 'file.filename': path }
  return Object.entries(all)
    .map(([key, value]) => `${key}=${escaped(value)}`)
    .join(',')
}

/** In QEMU's option lists a comma ends the value unless it is doubled. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}
