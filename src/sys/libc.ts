import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import { AslError, messageOf } from '../core/mod.ts'

/**
 * System calls that Node does not offer, through the C library of the running process. Every function answers as the
 * kernel does: the result, or minus the error number, so that a caller in a hot loop pays for no exception.
 */
const SIGNATURES = {
  close: 'int close(int fd)',
  eventfd: 'int eventfd(unsigned int start, int flags)',
  fanotify_init: 'int fanotify_init(unsigned int flags, unsigned int event_flags)',
  fanotify_mark: 'int fanotify_mark(int group, unsigned int flags, uint64_t mask, int dirfd, const char *path)',
  mount: 'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  open_by_handle_at: 'int open_by_handle_at(int mount, void *handle, int flags)',
  poll: 'int poll(void *fds, unsigned long count, int timeout_ms)',
  read: 'int64_t read(int fd, void *buffer, size_t size)',
  statfs: 'int statfs(const char *path, void *buffer)',
  statx: 'int statx(int dirfd, const char *path, int flags, unsigned int mask, void *buffer)',
  unshare: 'int unshare(int flags)',
  wait4: 'int wait4(int pid, void *status, int options, void *usage)',
  waitid: 'int waitid(int type, unsigned int id, void *info, int options)',
  write: 'int64_t write(int fd, const void *buffer, size_t size)',
} as const

export type SystemCall = keyof typeof SIGNATURES
type Argument = number | bigint | string | Uint8Array | null
export type NativeFunction = (...args: readonly Argument[]) => number

type Native = (...args: readonly Argument[]) => number
interface Koffi {
  load(path: null): { func(signature: string): Native }
  errno(): number
}

let koffi: Koffi | undefined
let library: ReturnType<Koffi['load']> | undefined
const bound = new Map<SystemCall, Native>()

/** @throws AslError HOST_UNSUPPORTED when the native part of koffi does not load on this machine */
export function systemCall(name: SystemCall): NativeFunction {
  const native = bindNative(name)
  const errno = (koffi as Koffi).errno
  return (...args) => {
    const result = native(...args)
    return result < 0 ? -errno() : result
  }
}

/** @throws an `ErrnoException` like those of `node:fs` for a negative result */
export function checkCall(name: string, result: number): number {
  if (result >= 0) return result
  const code = getSystemErrorName(result)
  throw Object.assign(new Error(`${code}: ${name}`), { code, errno: result, syscall: name })
}

function bindNative(name: SystemCall): Native {
  const known = bound.get(name)
  if (known !== undefined) return known
  if (library === undefined) {
    try {
      // Loaded on first use: few verbs need it, and it is a native library.
      koffi = createRequire(import.meta.url)('koffi') as Koffi
      library = koffi.load(null)
    } catch (error) {
      throw new AslError('HOST_UNSUPPORTED', `Cannot reach the C library through koffi: ${messageOf(error)}`, {
        hint: "Run 'make setup'; without koffi, commands are observed by strace.",
        cause: error,
      })
    }
  }
  const native = library.func(SIGNATURES[name])
  bound.set(name, native)
  return native
}
