import { closeSync, constants, readlinkSync } from 'node:fs'
import { type FolderHandle, systemCall } from '../../sys/mod.ts'
import type { RawPath } from './raw-path.ts'

/** Turns the handles of name events into paths, as they are at this moment. */
export interface FolderPaths {
  /** Opens handles of this file system through this mount. */
  addMount(fsid: string, mountFd: number): void
  hasMount(fsid: string): boolean
  /** `undefined` when the folder is gone and no event has told its name yet. */
  tryPath(folder: FolderHandle): RawPath | undefined
  /** An event has told where the folder with this key is, or was when it was removed. */
  place(key: string, path: RawPath): void
  /** Some folder was renamed: what was looked up before may be wrong now. */
  forgetAll(): void
}

const O_CLOEXEC = 0o2000000
const O_PATH = 0o10000000

export function openFolderPaths(): FolderPaths {
  const openByHandle = systemCall('open_by_handle_at')
  const mounts = new Map<string, number>()
  const known = new Map<string, RawPath>()
  return {
    addMount: (fsid, mountFd) => void mounts.set(fsid, mountFd),
    hasMount: fsid => mounts.has(fsid),
    tryPath(folder) {
      const path = known.get(folder.key)
      if (path !== undefined) return path
      const mountFd = mounts.get(folder.fsid)
      if (mountFd === undefined) return undefined
      const fd = openByHandle(mountFd, folder.handle, constants.O_DIRECTORY | O_PATH | O_CLOEXEC)
      if (fd < 0) return undefined // ESTALE: removed meanwhile
      try {
        const found = readlinkSync(`/proc/self/fd/${fd}`, 'latin1') as RawPath
        if (found.endsWith(' (deleted)')) return undefined
        known.set(folder.key, found)
        return found
      } finally {
        closeSync(fd)
      }
    },
    place: (key, path) => void known.set(key, path),
    forgetAll: () => known.clear(),
  }
}
