import { posix } from 'node:path'
import { hostView, type MountView } from './mount-view.ts'
import type { RawPath } from './raw-path.ts'

/** What decides which file a path names to a process. Threads and `CLONE_FS` children share one. */
export interface ProcessView {
  cwd: RawPath
  /** Its root folder, as its mount namespace sees it: `/` but after chroot. */
  root: RawPath
  mounts: MountView
}

export function firstView(cwd: RawPath): ProcessView {
  return { cwd, root: '/' as RawPath, mounts: hostView() }
}

export function childView(parent: ProcessView, flags: string): ProcessView {
  if (flags.includes('CLONE_FS') && !flags.includes('CLONE_NEWNS')) return parent
  return { ...parent, mounts: flags.includes('CLONE_NEWNS') ? parent.mounts.copy() : parent.mounts }
}

/** The path in the mount namespace; links are not followed. */
export function pathInside(view: ProcessView, folder: RawPath | undefined, path: string): RawPath {
  if (path.startsWith('/')) return normal(view.root === '/' ? path : view.root + path)
  return normal(path === '' ? (folder ?? view.cwd) : `${folder ?? view.cwd}/${path}`)
}

function normal(path: string): RawPath {
  const clean = posix.normalize(path)
  return (clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean) as RawPath
}
