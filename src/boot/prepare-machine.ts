import { chmodSync, copyFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AslError } from '../core/mod.ts'
import type { Accelerator } from './accelerator.ts'
import type { BootOptions } from './boot-options.ts'
import { findUefiFirmware, type UefiFirmware } from './firmware.ts'
import type { GuestArch } from './guest-arch.ts'
import type { Machine, MachineDisk } from './machine.ts'

/** Descriptors after stdin, stdout and stderr, in the order of the extra pipes. */
export const FD = { monitor: 3, status: 4, console: 5 } as const

const DEFAULT_CPUS = 2

/**
 * Processor models for software emulation. Measured (docs/spec/boot-test.md): the fewer vector extensions a guest sees,
 * the faster its hashing, because QEMU emulates vectors element by element.
 */
const EMULATED_CPU: Readonly<Record<GuestArch, string>> = { amd64: 'qemu64', arm64: 'max,pauth-impdef=on' }

export interface MachineHost {
  readonly qemuPath: string
  readonly accelerator: Accelerator
  /** A private folder, removed when the machine has ended. */
  readonly scratch: string
}

/** The machine that `options` ask for, with its private files made. @throws AslError TOOL_MISSING, USAGE */
export function prepareMachine(options: BootOptions, { qemuPath, accelerator, scratch }: MachineHost): Machine {
  const { arch, firmware, image, kernel, memoryMib } = options
  return {
    qemuPath,
    arch,
    firmware,
    cpus: options.cpus ?? DEFAULT_CPUS,
    memoryMib,
    accelerator: accelerator.kind,
    cpu: options.cpu ?? (accelerator.kind === 'kvm' ? 'host' : EMULATED_CPU[arch]),
    ...(firmware === 'uefi' ? { uefi: privateFirmware(options, scratch) } : {}),
    ...(image === undefined ? {} : { image }),
    ...(kernel === undefined ? {} : { kernel }),
    disks: (options.disks ?? []).map((disk, index) =>
      'path' in disk ? disk : emptyDisk(disk.sizeBytes, index, scratch),
    ),
    words: (options.words ?? []).map(checkedWord),
    console: options.console === 'terminal' ? 'terminal' : { fd: FD.console },
    monitorFd: FD.monitor,
    statusFd: FD.status,
    extraArgs: options.extraArgs ?? [],
  }
}

/** Firmware writes its variables: each machine gets a copy that is gone afterwards. */
function privateFirmware(options: BootOptions, scratch: string): UefiFirmware {
  const found = options.uefi ?? findUefiFirmware(options.arch)
  const varsPath = join(scratch, 'uefi-variables')
  copyFileSync(found.varsPath, varsPath)
  chmodSync(varsPath, 0o600) // the copy has the mode of the template, which may be read-only
  return { ...found, varsPath }
}

function emptyDisk(sizeBytes: number, index: number, scratch: string): MachineDisk {
  const path = join(scratch, `disk${index}`)
  writeFileSync(path, '')
  truncateSync(path, sizeBytes)
  return { path, format: 'raw' }
}

/** A word ends up on a kernel command line: no blanks or quotes, nothing that starts another word. */
function checkedWord(word: string): string {
  if (/^[A-Za-z0-9_.][A-Za-z0-9_.,:=/@+-]{0,255}$/.test(word)) return word
  throw new AslError('USAGE', `Cannot pass ${JSON.stringify(word)} to the guest: it is not a plain word`)
}

/** @throws AslError PATH_NOT_FOUND for the first file that is not there */
export function checkFiles({ image, kernel, disks = [] }: BootOptions): void {
  const diskPaths = disks.map(disk => ('path' in disk ? disk.path : undefined))
  for (const path of [image?.path, kernel?.kernelPath, kernel?.initrdPath, ...diskPaths]) {
    if (path !== undefined && statSync(path, { throwIfNoEntry: false }) === undefined) {
      throw new AslError('PATH_NOT_FOUND', `There is no file ${path}`)
    }
  }
}
