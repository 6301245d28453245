import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AslError } from '../core/mod.ts'
import { errnoOf } from '../sys/mod.ts'
import { ARCH_FACTS, type GuestArch } from './guest-arch.ts'

/** The two flash images of a UEFI machine. The second holds its variables: each machine gets a copy of its own. */
export interface UefiFirmware {
  readonly codePath: string
  readonly codeFormat: string
  readonly varsPath: string
  readonly varsFormat: string
}

/**
 * Where distributions describe their firmware: QEMU's docs/interop/firmware.json. A file in an earlier folder hides
 * one of the same name in a later one; names are tried in order.
 */
const DESCRIPTOR_FOLDERS = ['/etc/qemu/firmware', '/usr/share/qemu/firmware']

/** For distributions without descriptors: Debian and Ubuntu, Fedora, Arch. */
const KNOWN_PATHS: Readonly<Record<GuestArch, readonly (readonly [code: string, vars: string])[]>> = {
  amd64: [
    ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
    ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
    ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
    ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
  ],
  arm64: [
    ['/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
    ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
    ['/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw', '/usr/share/edk2/aarch64/vars-template-pflash.raw'],
  ],
}

/**
 * UEFI firmware without Secure Boot for machines of `arch`.
 * @throws AslError TOOL_MISSING
 */
export function findUefiFirmware(arch: GuestArch, folders: readonly string[] = DESCRIPTOR_FOLDERS): UefiFirmware {
  for (const path of descriptorPaths(folders)) {
    const firmware = firmwareOf(JSON.parse(readFileSync(path, 'utf8')), arch)
    if (firmware !== undefined && existsSync(firmware.codePath) && existsSync(firmware.varsPath)) return firmware
  }
  for (const [codePath, varsPath] of KNOWN_PATHS[arch]) {
    if (existsSync(codePath) && existsSync(varsPath))
      return { codePath, codeFormat: 'raw', varsPath, varsFormat: 'raw' }
  }
  throw new AslError('TOOL_MISSING', `There is no UEFI firmware for ${arch} machines on this host`, {
    hint: `Install the package ${ARCH_FACTS[arch].firmwarePackage} (Debian, Ubuntu) or edk2-${arch === 'amd64' ? 'ovmf' : 'aarch64'}.`,
  })
}

function descriptorPaths(folders: readonly string[]): string[] {
  const byName = new Map<string, string>()
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      if (name.endsWith('.json') && !byName.has(name)) byName.set(name, join(folder, name))
    }
  }
  return [...byName.keys()].sort().map(name => byName.get(name) as string)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

interface Descriptor {
  readonly 'interface-types'?: readonly string[]
  readonly mapping?: {
    readonly device?: string
    readonly mode?: string
    readonly executable?: { readonly filename?: string; readonly format?: string }
    readonly 'nvram-template'?: { readonly filename?: string; readonly format?: string }
  }
  readonly targets?: readonly { readonly architecture?: string }[]
  readonly features?: readonly string[]
}

/** Secure Boot needs a machine with SMM, and keys that the image is signed for. */
const UNWANTED = ['requires-smm', 'enrolled-keys']

function firmwareOf(descriptor: Descriptor, arch: GuestArch): UefiFirmware | undefined {
  const { mapping, features = [], targets = [] } = descriptor
  const code = mapping?.executable
  const vars = mapping?.['nvram-template']
  const fits =
    descriptor['interface-types']?.includes('uefi') === true &&
    mapping?.device === 'flash' &&
    targets.some(target => target.architecture === ARCH_FACTS[arch].machineName) &&
    !features.some(feature => UNWANTED.includes(feature))
  if (!fits || code?.filename === undefined || vars?.filename === undefined) return undefined
  return {
    codePath: code.filename,
    codeFormat: code.format ?? 'raw',
    varsPath: vars.filename,
    varsFormat: vars.format ?? 'raw',
  }
}
