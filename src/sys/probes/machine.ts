/** The machine: kernel, devices, memory, disk. */
import { accessSync, constants } from 'node:fs'
import { freemem, release } from 'node:os'
import { errnoOf, freeBytes, tryReadFile } from '../files.ts'
import { compareVersions, parseVersion } from '../host-tool-state.ts'
import type { HostFinding, ProbePlace } from './finding.ts'

const GIB = 1024 ** 3
/** overlayfs in a user namespace came with 5.11. */
const KERNEL_FOR_USERS = '5.11'
/** A cold build of the authority host holds its package cache, two trees, the store and the image at once. */
const DISK_WANTED_BYTES = 8 * GIB
const DISK_LEAST_BYTES = 4 * GIB
/** A boot test gives its guest 2 GiB; a build wants about 1. */
const MEMORY_WANTED_BYTES = 3 * GIB
const MEMORY_LEAST_BYTES = 1 * GIB

export function probeKernel(place: ProbePlace, version: string = release()): HostFinding {
  const name = 'kernel'
  const isOld = compareVersions(parseVersion(version) ?? '0', KERNEL_FOR_USERS) < 0
  if (!isOld) return { name, state: 'ok', found: `Linux ${version}`, neededFor: ['build'] }
  const found = `Linux ${version}, wanted ${KERNEL_FOR_USERS} or newer to build without root`
  const state = place.uid === 0 ? 'degraded' : 'missing'
  return { name, state, found, remedy: 'run as root, or on a newer kernel', neededFor: ['build'] }
}

export function probeDisk({ storeFolder }: ProbePlace, bytes: number = freeBytes(storeFolder)): HostFinding {
  const problem = accessProblem(storeFolder)
  if (problem !== undefined) {
    const remedy = 'name a store that you can write: --store DIR or ASL_STORE'
    return { name: 'disk', state: 'missing', found: problem, remedy, neededFor: ['build'] }
  }
  const found = `${gib(bytes)} free on ${storeFolder}`
  const remedy = 'free some space, or name a store on another file system: --store DIR or ASL_STORE'
  return roomFinding('disk', bytes, DISK_LEAST_BYTES, DISK_WANTED_BYTES, found, remedy)
}

export function probeMemory(bytes: number = availableMemoryBytes()): HostFinding {
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
): HostFinding {
  if (bytes >= wanted) return { name, state: 'ok', found, neededFor: ['build'] }
  const state = bytes < least ? 'missing' : 'degraded'
  return { name, state, found: `${found}, wanted ${gib(wanted)}`, remedy, neededFor: ['build'] }
}

/** What the kernel would give without swapping (`MemAvailable`, proc_meminfo(5)); `freemem` leaves caches out. */
function availableMemoryBytes(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(tryReadFile('/proc/meminfo')?.toString('utf8') ?? '')
  return match === null ? freemem() : Number(match[1]) * 1024
}

export function probeFuse(): HostFinding {
  const name = '/dev/fuse'
  const problem = accessProblem('/dev/fuse')
  if (problem === undefined) return { name, state: 'ok', found: 'can be opened', neededFor: [] }
  const remedy = problem.startsWith('there is no') ? { remedy: 'sudo modprobe fuse' } : {}
  return { name, state: 'degraded', found: problem, ...remedy, neededFor: [] }
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

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`
}
