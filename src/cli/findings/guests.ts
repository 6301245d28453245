import { ARCH_FACTS, chooseAccelerator, findUefiFirmware, hostArch } from '../../boot/mod.ts'
import { isAslError } from '../../core/mod.ts'
import { findTool, type HostFinding, type ProbePlace, withTempFolder } from '../../sys/mod.ts'

/** Does KVM run a guest here? Otherwise QEMU emulates the processor, about ten times slower. */
export async function probeKvm({ folder, userName }: ProbePlace): Promise<HostFinding> {
  const common = { name: 'KVM', neededFor: [] }
  const arch = hostArch()
  const qemuPath = arch === undefined ? undefined : findTool(ARCH_FACTS[arch].qemu)
  if (arch === undefined || qemuPath === undefined)
    return { ...common, state: 'degraded', found: 'there is no QEMU to try it' }
  const { kind, reason } = await withTempFolder(folder, scratch => chooseAccelerator(arch, { qemuPath, scratch }))
  if (kind === 'kvm') return { ...common, state: 'ok', found: reason }
  const remedy = reason.includes('EACCES') ? { remedy: `sudo usermod -aG kvm ${userName}, then log in again` } : {}
  return { ...common, state: 'degraded', found: `${reason}; QEMU emulates the processor in its place`, ...remedy }
}

/** The UEFI firmware that `asl boot` would take. */
export function probeUefi(): HostFinding {
  const common = { name: 'UEFI firmware', neededFor: ['boot'] } as const
  try {
    return { ...common, state: 'ok', found: findUefiFirmware('amd64').codePath }
  } catch (error) {
    if (!isAslError(error, 'TOOL_MISSING')) throw error
    return { ...common, state: 'missing', found: error.message, remedy: error.hint ?? 'install the package ovmf' }
  }
}
