import { closeSync, constants, openSync, readlinkSync, readSync, statSync } from 'node:fs'
import { type Awaited, checkCall, errnoOf, FAN, type FanotifyGroup, systemCall } from '../../sys/mod.ts'
import type { FolderPaths } from './folder-paths.ts'
import { holdsFiles, type Mount, parseMountinfo } from './mounts.ts'
import { NAME_MASK } from './name-watch.ts'

/**
 * Where events come from: the mounts of the command's mount namespaces (permission group: nobody else waits) and the
 * file systems behind them (name group). Mounts and namespaces that appear during the run are added as they are seen.
 */
export interface Surfaces {
  /** Marks what the process sees, unless its mount namespace is known. A process that is gone is passed over. */
  addNamespaceOf(pid: number | 'self'): void
  /** Marks mounts that have appeared. */
  refresh(): void
  /** Fires when a known namespace changes. */
  changes(): readonly Awaited[]
  /** True for a file system that tells no names: what is renamed or removed there stays unseen. */
  isNameless(device: string): boolean
  close(): void
}

export interface SurfacesOptions {
  readonly permission: FanotifyGroup
  readonly names: FanotifyGroup
  readonly folders: FolderPaths
}

interface Namespace {
  readonly rootFd: number
  readonly mountinfoFd: number
  readonly seen: Set<number>
}

const O_PATH = 0o10000000
const STATFS_SIZE_BYTES = 256
const FSID_OFFSET = 56

export function openSurfaces({ permission, names, folders }: SurfacesOptions): Surfaces {
  const namespaces = new Map<string, Namespace>()
  const devices = new Set<string>()
  const nameless = new Set<string>()
  const statfs = systemCall('statfs')

  const markDevice = (mount: Mount, path: string): void => {
    if (devices.has(mount.device)) return
    devices.add(mount.device)
    try {
      names.mark('filesystem', NAME_MASK, path)
      const buffer = Buffer.alloc(STATFS_SIZE_BYTES)
      checkCall('statfs', statfs(path, buffer))
      const fsid = buffer.toString('latin1', FSID_OFFSET, FSID_OFFSET + 8)
      if (statSync(path).isDirectory()) {
        folders.addMount(fsid, openSync(path, constants.O_RDONLY | constants.O_DIRECTORY))
      }
    } catch (error) {
      if (!isRefusal(error)) throw error
      nameless.add(mount.device)
    }
  }
  const markMount = (mount: Mount, path: string): void => {
    try {
      markDevice(mount, path)
      const extra = nameless.has(mount.device) ? FAN.CLOSE_WRITE : 0
      permission.mark('mount', FAN.OPEN_PERM | extra, path)
    } catch (error) {
      // Hidden below another mount, unmounted meanwhile, or a file system that has no file to open.
      if (!['ENOENT', 'ENOTDIR', 'EACCES', 'EINVAL', 'ESTALE'].includes(errnoOf(error) ?? '')) throw error
    }
  }
  const refresh = ({ rootFd, mountinfoFd, seen }: Namespace): void => {
    // A handle of the whole file system finds every folder of it, so mounts of whole file systems come first.
    const mounts = parseMountinfo(readAll(mountinfoFd)).filter(holdsFiles)
    const whole = mounts.filter(mount => mount.root === '/')
    for (const mount of [...whole, ...mounts.filter(mount => mount.root !== '/')]) {
      if (seen.has(mount.id)) continue
      seen.add(mount.id)
      markMount(mount, `/proc/self/fd/${rootFd}${Buffer.from(mount.point, 'latin1').toString()}`)
    }
  }
  return {
    addNamespaceOf(pid) {
      try {
        const name = readlinkSync(`/proc/${pid}/ns/mnt`)
        if (namespaces.has(name)) return
        const namespace = {
          rootFd: openSync(`/proc/${pid}/root`, constants.O_DIRECTORY | O_PATH),
          mountinfoFd: openSync(`/proc/${pid}/mountinfo`, constants.O_RDONLY),
          seen: new Set<number>(),
        }
        namespaces.set(name, namespace)
        refresh(namespace)
      } catch (error) {
        if (!['ENOENT', 'ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error
      }
    },
    refresh() {
      for (const namespace of namespaces.values()) refresh(namespace)
    },
    changes: () => [...namespaces.values()].map(({ mountinfoFd }) => ({ fd: mountinfoFd, for: 'change' })),
    isNameless: device => nameless.has(device),
    close() {
      for (const { rootFd, mountinfoFd } of namespaces.values()) {
        closeSync(rootFd)
        closeSync(mountinfoFd)
      }
    },
  }
}

/** The file system has no handles, or no single id: NFS of old, FUSE, subvolumes of btrfs. */
function isRefusal(error: unknown): boolean {
  return ['EOPNOTSUPP', 'ENODEV', 'EXDEV', 'ENOTSUP', 'EINVAL'].includes(errnoOf(error) ?? '')
}

/** From the start of a file that is open already: its process may be gone by now. */
function readAll(fd: number): string {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const chunk = Buffer.allocUnsafe(64 * 1024)
    const size = readSync(fd, chunk, 0, chunk.length, at)
    if (size === 0) return Buffer.concat(parts).toString('latin1')
    parts.push(chunk.subarray(0, size))
    at += size
  }
}
