/** Namespaces and overlays, asked by making them: what a kernel was built with says little about what it permits. */
import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isAslError } from '../../core/mod.ts'
import { tryReadFile, withTempFolder } from '../files.ts'
import { type RunResult, run } from '../run.ts'
import { TOOL_ENV } from '../tools.ts'
import type { HostFinding, ProbePlace } from './finding.ts'

const PROBE_LIMIT_MS = 15_000
/** A step's root holds files of many owners: Debian's own ids reach to 65534. */
const IDS_WANTED = 65_536

/** Can this user make a user namespace? Root does without. */
export async function probeUserNamespaces(place: ProbePlace): Promise<HostFinding> {
  const name = 'user namespaces'
  if (place.uid === 0) return { name, state: 'ok', found: 'not needed: you are root', neededFor: [] }
  const problem = await trying(['unshare', '--user', '--map-root-user', '--mount', 'true'])
  if (problem === undefined) return { name, state: 'ok', found: 'can be made', neededFor: ['build'] }
  const remedy = namespaceRemedy(path => tryReadFile(path)?.toString('utf8').trim())
  return { name, state: 'missing', found: problem, remedy, neededFor: ['build'] }
}

/** Which of the kernel's switches forbids user namespaces, and how it is turned. */
export function namespaceRemedy(read: (path: string) => string | undefined): string {
  if (read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return 'AppArmor forbids them (Ubuntu 23.10 and later): sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'
  }
  if (read('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    return 'sudo sysctl -w kernel.unprivileged_userns_clone=1'
  }
  if (read('/proc/sys/user/max_user_namespaces') === '0') return 'sudo sysctl -w user.max_user_namespaces=65536'
  return 'run as root, or outside of a container that forbids them'
}

/** Has this user a range of further ids, and can it be mapped? */
export async function probeIdRanges(place: ProbePlace): Promise<HostFinding> {
  const name = 'subordinate ids'
  if (place.uid === 0) return { name, state: 'ok', found: 'not needed: you are root', neededFor: [] }
  const counts = ['/etc/subuid', '/etc/subgid'].map(path =>
    countSubordinateIds(tryReadFile(path)?.toString('utf8') ?? '', place),
  )
  const fewest = Math.min(...counts)
  const remedy = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${place.userName}`
  if (fewest < IDS_WANTED) {
    const found = `${fewest} of ${IDS_WANTED} in /etc/subuid and /etc/subgid`
    return { name, state: 'missing', found, remedy, neededFor: ['user-mode'] }
  }
  const problem = await trying(['unshare', '--user', '--map-auto', '--map-root-user', '--mount', 'true'])
  if (problem === undefined) return { name, state: 'ok', found: `${fewest}, and they map`, neededFor: ['user-mode'] }
  return {
    name,
    state: 'missing',
    found: problem,
    remedy: 'newuidmap must be setuid root, outside of a container that forbids new privileges',
    neededFor: ['user-mode'],
  }
}

/** Sums the ranges of subuid(5) or subgid(5) text that belong to a user, named or numbered. */
export function countSubordinateIds(text: string, { uid, userName }: Pick<ProbePlace, 'uid' | 'userName'>): number {
  let sum = 0
  for (const line of text.split('\n')) {
    const [owner, start, count] = line.trim().split(':')
    if (owner !== userName && owner !== String(uid)) continue
    if (start !== undefined && count !== undefined && /^\d{1,10}$/.test(count)) sum += Number(count)
  }
  return sum
}

/** Mounts a small overlay where the store is, with the options that a step uses. */
export async function probeOverlay(place: ProbePlace): Promise<HostFinding> {
  const name = 'overlayfs'
  const isRoot = place.uid === 0
  const options = isRoot ? 'index=on,metacopy=off,redirect_dir=off,volatile' : 'userxattr,volatile'
  const namespaces = isRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount']
  const problem = await withTempFolder(place.folder, async folder => {
    const at = (part: string): string => join(folder, part)
    for (const part of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(part))
    const layers = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`
    const mount = ['mount', '-t', 'overlay', 'asl-probe', '-o', `${layers},${options}`, at('merged')]
    try {
      return await trying(['unshare', ...namespaces, '--propagation', 'private', '--', ...mount])
    } finally {
      openFolders(at('work'))
    }
  })
  const found = `${isRoot ? 'as root' : 'in a user namespace'} on ${place.folder}`
  if (problem === undefined) return { name, state: 'ok', found, neededFor: ['build'] }
  const remedy = isRoot
    ? 'use a store on ext4, xfs, btrfs or tmpfs, outside of other overlays, and a kernel with overlayfs'
    : 'use Linux 5.11 or newer and a store on ext4, xfs, btrfs or tmpfs, or run as root'
  return { name, state: 'missing', found: `${found}: ${problem}`, remedy, neededFor: ['build'] }
}

/** The kernel makes folders of mode 0 in the work folder; their owner can remove them only when they are opened. */
function openFolders(path: string): void {
  chmodSync(path, 0o700)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) openFolders(join(path, entry.name))
  }
}

/** Runs a command that succeeds where a thing works; otherwise says in one line why it does not. */
export async function trying(argv: readonly string[]): Promise<string | undefined> {
  let result: RunResult
  try {
    result = await run(argv, { env: TOOL_ENV, timeoutMs: PROBE_LIMIT_MS, isGroup: true })
  } catch (error) {
    if (isAslError(error, 'TOOL_MISSING')) return `${argv[0]} is missing`
    throw error
  }
  if (result.exitCode === 0) return undefined
  if (result.isTimedOut) return `${argv[0]} did not end within ${PROBE_LIMIT_MS / 1000} s`
  const said = result.stderr.toString('utf8').trim().split('\n')[0] ?? ''
  return said === '' ? `${argv[0]} ended with status ${result.exitCode ?? result.signal}` : said
}
