import { realpathSync } from 'node:fs'
import { errnoOf } from '../../sys/mod.ts'
import { folderOf, joinPath, nameOf, pathBytes, type RawPath } from './raw-path.ts'
import type { ProcessView } from './strace-process.ts'

/**
 * The path of this machine for a name that a process gave: links in the folders on the way are followed as they are
 * now, the last part is not. `undefined` for what lies on a file system that comes and goes with its namespace.
 */
export function pathOnDisk(view: ProcessView, inside: RawPath): RawPath | undefined {
  const outside = view.mounts.outside(inside)
  if (outside === undefined || outside === '/') return outside
  return joinPath(realFolder(folderOf(outside)), nameOf(outside))
}

/** All links followed; the path itself when it is gone. */
export function realPath(path: RawPath): RawPath {
  try {
    return realpathSync.native(pathBytes(path), 'buffer').toString('latin1') as RawPath
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes(errnoOf(error) ?? '')) return path
    throw error
  }
}

function realFolder(folder: RawPath): RawPath {
  return folder === '/' ? folder : realPath(folder)
}
