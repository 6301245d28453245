/** What can watch a step read: fanotify for root, strace for everybody. */
import { getSystemErrorName } from 'node:util'
import type { Finding, ProbePlace } from './finding.ts'
import { trying } from './namespaces.ts'

// include/uapi/linux/fanotify.h
const FAN_CLOEXEC = 0x1
const FAN_UNLIMITED_QUEUE = 0x10
const FAN_MARK_ADD = 0x1
const FAN_MARK_FILESYSTEM = 0x100
const FAN_OPEN = 0x20n
const O_CLOEXEC = 0o2000000
const AT_FDCWD = -100

/** Marks the file system of the store, as the observer of a step does, and takes the mark away again. */
export async function probeFanotify(place: ProbePlace): Promise<Finding> {
  const name = 'fanotify'
  if (place.uid !== 0) {
    return { name, state: 'degraded', found: 'for root alone; strace observes in its place', neededFor: [] }
  }
  const problem = await tryFanotify(place.folder)
  if (problem === undefined) return { name, state: 'ok', found: 'marks a whole file system', neededFor: [] }
  const remedy = 'run outside of a container, with CAP_SYS_ADMIN; strace observes in its place'
  return { name, state: 'degraded', found: problem, remedy, neededFor: [] }
}

async function tryFanotify(folder: string): Promise<string | undefined> {
  const { default: koffi } = await import('koffi')
  const libc = koffi.load('libc.so.6')
  const init = libc.func('int fanotify_init(unsigned int flags, unsigned int event_f_flags)')
  const mark = libc.func('int fanotify_mark(int fd, unsigned int flags, uint64_t mask, int dirfd, const char *path)')
  const close = libc.func('int close(int fd)')
  const failed = (call: string): string => `${call} fails with ${getSystemErrorName(-koffi.errno())}`
  const fd = init(FAN_CLOEXEC | FAN_UNLIMITED_QUEUE, O_CLOEXEC) as number
  if (fd < 0) return failed('fanotify_init')
  try {
    const status = mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, AT_FDCWD, folder) as number
    return status < 0 ? failed('fanotify_mark') : undefined
  } finally {
    close(fd)
  }
}

/** Traces one short program in the way a step is traced. */
export async function probeStrace(place: ProbePlace): Promise<Finding> {
  const name = 'tracing'
  const neededFor = place.uid === 0 ? [] : (['user-mode'] as const)
  const problem = await trying([
    'strace',
    '-f',
    '--seccomp-bpf',
    '-qqq',
    '-e',
    'trace=execve',
    '-o',
    '/dev/null',
    'true',
  ])
  if (problem === undefined) return { name, state: 'ok', found: 'strace follows a program', neededFor }
  const remedy = 'install strace; in a container allow ptrace (--cap-add=SYS_PTRACE)'
  return { name, state: place.uid === 0 ? 'degraded' : 'missing', found: problem, remedy, neededFor }
}
