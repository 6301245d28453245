/** The machine: kernel, virtualisation, memory, disk. */
import { accessSync, constants, writeFileSync } from 'node:fs'
import { freemem, release } from 'node:os'
import { join } from 'node:path'
import { isAslError, messageOf } from '../../core/mod.ts'
import { errnoOf, freeBytes, tryReadFile, withTempFolder } from '../files.ts'
import { compareVersions, parseVersion } from '../host-tool-state.ts'
import { describeEnd, run } from '../run.ts'
import { TOOL_ENV } from '../tools.ts'
import type { Finding, ProbePlace } from './finding.ts'

const GIB = 1024 ** 3
/** overlayfs in a user namespace came with 5.11. */
const KERNEL_FOR_USERS = '5.11'
/** A cold build of the authority host holds its package cache, two trees, the store and the image at once. */
const DISK_WANTED_BYTES = 8 * GIB
const DISK_LEAST_BYTES = 4 * GIB
/** A boot test gives its guest 2 GiB; a build wants about 1. */
const MEMORY_WANTED_BYTES = 3 * GIB
const MEMORY_LEAST_BYTES = 1 * GIB

export function probeKernel(place: ProbePlace, version: string = release()): Finding {
  const name = 'kernel'
  const isOld = compareVersions(parseVersion(version) ?? '0', KERNEL_FOR_USERS) < 0
  if (!isOld) return { name, state: 'ok', found: `Linux ${version}`, neededFor: ['build'] }
  const found = `Linux ${version}, wanted ${KERNEL_FOR_USERS} or newer to build without root`
  const state = place.uid === 0 ? 'degraded' : 'missing'
  return { name, state, found, remedy: 'run as root, or on a newer kernel', neededFor: ['build'] }
}

export function probeDisk({ storeFolder }: ProbePlace, bytes: number = freeBytes(storeFolder)): Finding {
  const problem = accessProblem(storeFolder)
  if (problem !== undefined) {
    const remedy = 'name a store that you can write: --store DIR or ASL_STORE'
    return { name: 'disk', state: 'missing', found: problem, remedy, neededFor: ['build'] }
  }
  const found = `${gib(bytes)} free on ${storeFolder}`
  const remedy = 'free some space, or name a store on another file system: --store DIR or ASL_STORE'
  return roomFinding('disk', bytes, DISK_LEAST_BYTES, DISK_WANTED_BYTES, found, remedy)
}

export function probeMemory(bytes: number = availableMemoryBytes()): Finding {
  const remedy = 'end other programs, or add swap'
  return roomFinding('memory', bytes, MEMORY_LEAST_BYTES, MEMORY_WANTED_BYTES, `${gib(bytes)} available`, remedy)
}

function roomFinding(
  name: string,
  bytes: number,
  least: number,
  wanted: number,
  found: string,
  remedy: string,
): Finding {
  if (bytes >= wanted) return { name, state: 'ok', found, neededFor: ['build'] }
  const state = bytes < least ? 'missing' : 'degraded'
  return { name, state, found: `${found}, wanted ${gib(wanted)}`, remedy, neededFor: ['build'] }
}

/** What the kernel would give without swapping (`MemAvailable`, proc_meminfo(5)); `freemem` leaves caches out. */
function availableMemoryBytes(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(tryReadFile('/proc/meminfo')?.toString('utf8') ?? '')
  return match === null ? freemem() : Number(match[1]) * 1024
}

export function probeFuse(): Finding {
  const name = '/dev/fuse'
  const problem = accessProblem('/dev/fuse')
  if (problem === undefined) return { name, state: 'ok', found: 'can be opened', neededFor: [] }
  const remedy = problem.startsWith('there is no') ? { remedy: 'sudo modprobe fuse' } : {}
  return { name, state: 'degraded', found: problem, ...remedy, neededFor: [] }
}

/** Does KVM run a guest? Otherwise QEMU emulates the processor, about ten times slower. */
export async function probeKvm(place: ProbePlace): Promise<Finding> {
  const name = 'KVM'
  const problem = accessProblem('/dev/kvm') ?? processorProblem() ?? (await guestProblem(place.folder))
  if (problem === undefined) return { name, state: 'ok', found: 'runs a guest', neededFor: [] }
  const remedy = problem.includes('EACCES') ? `sudo usermod -aG kvm ${place.userName}, then log in again` : undefined
  const found = `${problem}; QEMU emulates the processor in its place`
  return { name, state: 'degraded', found, ...(remedy === undefined ? {} : { remedy }), neededFor: [] }
}

function accessProblem(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    const errno = errnoOf(error)
    return errno === 'ENOENT' ? `there is no ${path}` : `${path} cannot be written (${errno})`
  }
}

/** Some clouds offer /dev/kvm without the processor's help; ordinary guests do not start there. */
function processorProblem(): string | undefined {
  if (process.arch !== 'x64') return undefined
  const flags = /^flags\s*:(.*)$/m.exec(tryReadFile('/proc/cpuinfo')?.toString('utf8') ?? '')?.[1] ?? ''
  return / (vmx|svm) /.test(`${flags} `) ? undefined : 'the processor shows neither vmx nor svm'
}

/** The reset vector of a 64 KiB firmware that does one thing: `mov al,0x10; out 0xf4,al; hlt`. */
const GUEST_CODE = Uint8Array.of(0xb0, 0x10, 0xe6, 0xf4, 0xf4)
/** QEMU's isa-debug-exit ends with (value << 1) | 1. */
const GUEST_STATUS = (0x10 << 1) | 1

async function guestProblem(parent: string): Promise<string | undefined> {
  if (process.arch !== 'x64') return undefined
  return withTempFolder(parent, async folder => {
    const firmware = Buffer.alloc(65_536)
    firmware.set(GUEST_CODE, 65_536 - 16)
    writeFileSync(join(folder, 'firmware'), firmware)
    const machine = [
      '-accel',
      'kvm',
      '-machine',
      'pc',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-m',
      '16',
    ]
    const exit = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-bios', join(folder, 'firmware')]
    try {
      const result = await run(['qemu-system-x86_64', ...machine, ...exit], { env: TOOL_ENV, timeoutMs: 10_000 })
      return result.exitCode === GUEST_STATUS ? undefined : `a small guest ${describeEnd(result)}`
    } catch (error) {
      if (isAslError(error, 'TOOL_MISSING')) return 'qemu-system-x86_64 is missing'
      return messageOf(error)
    }
  })
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`
}
