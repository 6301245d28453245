import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'

/**
 * System calls that Node does not offer, through libc. The library is loaded at the first call, so that programs which
 * need none of them start without it. Every failure is an `Error` with the `code` Node's own `fs` would give.
 */
export type HostPath = string | Uint8Array

/** Names of the extended attributes of a file, a symbolic link itself included; none where the file system has none. */
export function listXattrs(path: HostPath): Buffer[] {
  const cPath = cString(path)
  const list = sized(into => posix().llistxattr(cPath, into, into.length), 'llistxattr', path, ['ENOTSUP'])
  if (list === undefined || list.length === 0) return []
  const names: Buffer[] = []
  for (let start = 0; start < list.length; ) {
    const end = list.indexOf(0, start)
    names.push(Buffer.from(list.subarray(start, end)))
    start = end + 1
  }
  return names
}

/** The value of one attribute, or `undefined` when the file does not have it. */
export function tryGetXattr(path: HostPath, name: Uint8Array): Buffer | undefined {
  const cPath = cString(path)
  const cName = cString(name)
  return sized(into => posix().lgetxattr(cPath, cName, into, into.length), 'lgetxattr', path, ['ENODATA', 'ENOTSUP'])
}

export function setXattr(path: HostPath, name: Uint8Array, value: Uint8Array): void {
  check(posix().lsetxattr(cString(path), cString(name), value, value.length, 0), 'lsetxattr', path)
}

/** `mode` carries the type bits (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK) and the permissions, less the umask. */
export function mknod(path: HostPath, mode: number, major = 0, minor = 0): void {
  check(posix().mknod(cString(path), mode, makeDevice(major, minor)), 'mknod', path)
}

/** Waits until everything written to the file system of `fd` is on the disk; reports errors since `fd` was opened. */
export function syncFileSystem(fd: number): void {
  check(posix().syncfs(fd), 'syncfs', `fd ${fd}`)
}

/** Starts writing a file's dirty pages to the disk and does not wait: the fsync that follows has less to do. */
export function startWriteback(fd: number): void {
  const SYNC_FILE_RANGE_WRITE = 2
  check(posix().sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 'sync_file_range', `fd ${fd}`)
}

/** Takes an exclusive `flock` without waiting. False when another open file holds it; the kernel frees it with the process. */
export function tryFlock(fd: number): boolean {
  const LOCK_EX = 2
  const LOCK_NB = 4
  if (posix().flock(fd, LOCK_EX | LOCK_NB) === 0) return true
  const error = lastError('flock', `fd ${fd}`)
  if (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK') return false
  throw error
}

/** Major and minor number of a device, from `stat.rdev` as Linux encodes it (sysmacros.h). */
export function splitDevice(rdev: number): readonly [major: number, minor: number] {
  const device = BigInt(rdev)
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n)
  return [Number(major), Number(minor)]
}

function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)]
  return ((high & 0xfffn) << 8n) | ((high & 0xfffff000n) << 32n) | (low & 0xffn) | ((low & 0xffffff00n) << 12n)
}

interface Posix {
  llistxattr(path: Uint8Array, list: Uint8Array, size: number): number
  lgetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array, size: number): number
  lsetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array, size: number, flags: number): number
  mknod(path: Uint8Array, mode: number, device: bigint): number
  syncfs(fd: number): number
  sync_file_range(fd: number, offset: number, size: number, flags: number): number
  flock(fd: number, operation: number): number
}

interface Koffi {
  load(library: string): { func(declaration: string): unknown }
  errno(): number
}

let koffi: Koffi | undefined
let loaded: Posix | undefined

function posix(): Posix {
  if (loaded !== undefined) return loaded
  koffi = createRequire(import.meta.url)('koffi') as Koffi
  const libc = koffi.load('libc.so.6')
  loaded = {
    llistxattr: libc.func('long llistxattr(const void *path, void *list, size_t size)'),
    lgetxattr: libc.func('long lgetxattr(const void *path, const void *name, void *value, size_t size)'),
    lsetxattr: libc.func(
      'int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
    ),
    mknod: libc.func('int mknod(const void *path, uint32_t mode, uint64_t device)'),
    syncfs: libc.func('int syncfs(int fd)'),
    sync_file_range: libc.func('int sync_file_range(int fd, int64_t offset, int64_t size, uint32_t flags)'),
    flock: libc.func('int flock(int fd, int operation)'),
  } as Posix
  return loaded
}

/** The kernel keeps a list or a value of attributes below this (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const XATTR_LIMIT_BYTES = 65536
let scratch: Buffer | undefined

function sized(
  call: (into: Buffer) => number,
  name: string,
  path: HostPath,
  absent: readonly string[],
): Buffer | undefined {
  scratch ??= Buffer.allocUnsafeSlow(XATTR_LIMIT_BYTES)
  const size = call(scratch)
  if (size >= 0) return Buffer.from(scratch.subarray(0, size))
  const error = lastError(name, path)
  if (error.code !== undefined && absent.includes(error.code)) return undefined
  throw error
}

function check(result: number, name: string, path: HostPath): void {
  if (result !== 0) throw lastError(name, path)
}

function lastError(name: string, path: HostPath): NodeJS.ErrnoException {
  const errno = koffi?.errno() ?? 0
  const code = getSystemErrorName(-errno)
  const shown = typeof path === 'string' ? path : Buffer.from(path).toString('utf8')
  return Object.assign(new Error(`${code}: ${name} '${shown}'`), { code, errno: -errno, syscall: name, path: shown })
}

function cString(text: HostPath): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const terminated = Buffer.allocUnsafe(bytes.length + 1)
  terminated.set(bytes)
  terminated[bytes.length] = 0
  return terminated
}
