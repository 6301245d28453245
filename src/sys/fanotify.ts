import { constants } from 'node:fs'
import { checkCall, systemCall } from './libc.ts'

/**
 * fanotify(7): the kernel tells what happens to files on whole mounts or file systems. Numbers are those of
 * linux/fanotify.h. Root only: it wants CAP_SYS_ADMIN in the first user namespace.
 */
export const FAN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  CLOSE_WRITE: 0x8,
  OPEN: 0x20,
  CREATE: 0x100,
  DELETE: 0x200,
  OPEN_EXEC: 0x1000,
  Q_OVERFLOW: 0x4000,
  OPEN_PERM: 0x10000,
  RENAME: 0x10000000,
  ONDIR: 0x40000000,
} as const

const INIT = {
  CLOEXEC: 0x1,
  NONBLOCK: 0x2,
  CLASS_CONTENT: 0x4,
  UNLIMITED_QUEUE: 0x10,
  UNLIMITED_MARKS: 0x20,
  REPORT_TID: 0x100,
  /** Names as (handle of the folder, name), with the handle of the thing itself: FID, DIR_FID, NAME and TARGET_FID. */
  REPORT_DFID_NAME_TARGET: 0x1e00,
  /** Linux 6.13: why an event has no descriptor. */
  REPORT_FD_ERROR: 0x2000,
} as const

const MARK = { ADD: 0x1, MOUNT: 0x10, IGNORED_MASK: 0x20, IGNORED_SURV_MODIFY: 0x40, FILESYSTEM: 0x100 } as const

const AT_FDCWD = -100
/** The kernel's own O_LARGEFILE, which the C library of 64-bit machines defines as 0. */
const O_LARGEFILE = process.arch === 'arm64' ? 0o400000 : 0o100000
const O_CLOEXEC = 0o2000000
const EVENT_OPEN_FLAGS = constants.O_RDONLY | constants.O_NOATIME | O_LARGEFILE | O_CLOEXEC

/** What a group tells, and how. */
export type FanotifyKind =
  /** Openers wait until they are allowed; each event brings a descriptor of the file, and the thread that opens. */
  | 'permission'
  /** Each event brings a descriptor of the file. */
  | 'descriptor'
  /** Each event brings names and handles, also for what has no descriptor: create, delete, rename, attributes. */
  | 'name'

export interface FanotifyGroup {
  readonly fd: number
  /** @throws an error with `code` when the kernel refuses: EOPNOTSUPP, ENODEV and EXDEV say that a file system cannot */
  mark(scope: 'mount' | 'filesystem', mask: number, path: string): void
  /** No further OPEN_PERM for the file behind this descriptor. */
  ignoreOpens(fileFd: number): void
  /** Fills `buffer` with whole events; 0 when nothing waits. */
  read(buffer: Buffer): number
  /** Lets the opener of a permission event go on. The event's descriptor stays open. */
  allow(fileFd: number): void
  close(): void
}

/** @throws an error with code EPERM, ENOSYS or EINVAL where fanotify is not to be had */
export function openFanotify(kind: FanotifyKind): FanotifyGroup {
  const init = systemCall('fanotify_init')
  const fanotifyMark = systemCall('fanotify_mark')
  const read = systemCall('read')
  const write = systemCall('write')
  const close = systemCall('close')
  const flags = INIT.CLOEXEC | INIT.NONBLOCK | INIT.UNLIMITED_QUEUE | INIT.UNLIMITED_MARKS
  const kindFlags = {
    permission: INIT.CLASS_CONTENT | INIT.REPORT_TID,
    descriptor: 0,
    name: INIT.REPORT_DFID_NAME_TARGET,
  }[kind]
  const extra = kind === 'name' ? 0 : INIT.REPORT_FD_ERROR
  let fd = init(flags | kindFlags | extra, EVENT_OPEN_FLAGS)
  if (fd < 0 && extra !== 0) fd = init(flags | kindFlags, EVENT_OPEN_FLAGS) // a kernel before 6.13
  checkCall('fanotify_init', fd)
  const response = Buffer.alloc(8)
  response.writeUInt32LE(1, 4) // FAN_ALLOW
  return {
    fd,
    mark(scope, mask, path) {
      const scopeFlag = scope === 'mount' ? MARK.MOUNT : MARK.FILESYSTEM
      checkCall(`fanotify_mark ${path}`, fanotifyMark(fd, MARK.ADD | scopeFlag, BigInt(mask), AT_FDCWD, path))
    },
    ignoreOpens(fileFd) {
      // A failure only means that further events come.
      fanotifyMark(fd, MARK.ADD | MARK.IGNORED_MASK | MARK.IGNORED_SURV_MODIFY, BigInt(FAN.OPEN_PERM), fileFd, null)
    },
    read(buffer) {
      const size = read(fd, buffer, buffer.length)
      if (size === -EAGAIN || size === -EINTR) return 0
      return checkCall('read of fanotify events', size)
    },
    allow(fileFd) {
      response.writeInt32LE(fileFd, 0)
      checkCall('answer to a fanotify event', write(fd, response, 8))
    },
    close: () => void close(fd),
  }
}

const EAGAIN = 11
const EINTR = 4

/** One event with a descriptor (kinds `permission` and `descriptor`). */
export interface DescriptorEvent {
  readonly mask: number
  /** Negative when there is none: a loss, after which the trace is partial. */
  readonly fd: number
  /** Thread that opens (`permission`) or process; 0 when it lives outside the reader's pid namespace. */
  readonly pid: number
}

const METADATA_SIZE_BYTES = 24
const METADATA_VERSION = 3

export function* descriptorEvents(buffer: Buffer, sizeBytes: number): Iterable<DescriptorEvent> {
  for (const at of eventOffsets(buffer, sizeBytes)) {
    yield { mask: buffer.readUInt32LE(at + 8), fd: buffer.readInt32LE(at + 16), pid: buffer.readInt32LE(at + 20) }
  }
}

/** One event with names (kind `name`). */
export interface NameEvent {
  readonly mask: number
  readonly pid: number
  /** Where it happened; `.` as name stands for the folder itself. */
  readonly at?: NamedEntry
  /** Where a rename moved it. */
  readonly to?: NamedEntry
  /** The thing itself, as a key that no two living things of one machine share. */
  readonly target?: string
}

export interface NamedEntry {
  readonly folder: FolderHandle
  /** One character per byte. */
  readonly name: string
}

/** A folder as the kernel names it: file system id and file handle, one character per byte. */
export interface FolderHandle {
  readonly key: string
  readonly fsid: string
  /** `struct file_handle`, for open_by_handle_at(2). */
  readonly handle: Buffer
}

const INFO = { FID: 1, DFID_NAME: 2, DFID: 3, OLD_DFID_NAME: 10, NEW_DFID_NAME: 12 } as const
const INFO_HEADER_SIZE_BYTES = 4
const FSID_SIZE_BYTES = 8
const HANDLE_HEADER_SIZE_BYTES = 8

export function* nameEvents(buffer: Buffer, sizeBytes: number): Iterable<NameEvent> {
  for (const at of eventOffsets(buffer, sizeBytes)) {
    const event: { -readonly [K in keyof NameEvent]: NameEvent[K] } = {
      mask: buffer.readUInt32LE(at + 8),
      pid: buffer.readInt32LE(at + 20),
    }
    const end = at + buffer.readUInt32LE(at)
    for (let info = at + METADATA_SIZE_BYTES; info + INFO_HEADER_SIZE_BYTES <= end; ) {
      const size = buffer.readUInt16LE(info + 2)
      if (size < INFO_HEADER_SIZE_BYTES) break
      switch (buffer[info]) {
        case INFO.FID:
          event.target = handleOf(buffer, info).key
          break
        case INFO.DFID:
          event.at = { folder: handleOf(buffer, info), name: '.' }
          break
        case INFO.DFID_NAME:
        case INFO.OLD_DFID_NAME:
          event.at = entryOf(buffer, info, info + size)
          break
        case INFO.NEW_DFID_NAME:
          event.to = entryOf(buffer, info, info + size)
          break
      }
      info += size
    }
    yield event
  }
}

function handleOf(buffer: Buffer, info: number): FolderHandle {
  const fsidAt = info + INFO_HEADER_SIZE_BYTES
  const handleAt = fsidAt + FSID_SIZE_BYTES
  const end = handleAt + HANDLE_HEADER_SIZE_BYTES + buffer.readUInt32LE(handleAt)
  return {
    key: buffer.toString('latin1', fsidAt, end),
    fsid: buffer.toString('latin1', fsidAt, handleAt),
    handle: Buffer.from(buffer.subarray(handleAt, end)),
  }
}

function entryOf(buffer: Buffer, info: number, end: number): NamedEntry {
  const handleAt = info + INFO_HEADER_SIZE_BYTES + FSID_SIZE_BYTES
  const nameAt = handleAt + HANDLE_HEADER_SIZE_BYTES + buffer.readUInt32LE(handleAt)
  const nul = buffer.indexOf(0, nameAt)
  return { folder: handleOf(buffer, info), name: buffer.toString('latin1', nameAt, nul < 0 || nul > end ? end : nul) }
}

function* eventOffsets(buffer: Buffer, sizeBytes: number): Iterable<number> {
  for (let at = 0; at + METADATA_SIZE_BYTES <= sizeBytes; ) {
    const length = buffer.readUInt32LE(at)
    if (buffer[at + 4] !== METADATA_VERSION || length < METADATA_SIZE_BYTES) {
      throw new Error(`fanotify speaks version ${buffer[at + 4]}, this program knows ${METADATA_VERSION}`)
    }
    yield at
    at += length
  }
}
