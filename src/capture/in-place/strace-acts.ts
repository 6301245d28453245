import { readlinkSync } from 'node:fs'
import { pathOnDisk, realPath } from './path-on-disk.ts'
import type { RawPath } from './raw-path.ts'
import {
  descriptorPath,
  descriptorText,
  hasFlag,
  isDeletedDescriptor,
  parseStraceLine,
  quotedText,
  type StraceLine,
  type TracedCall,
} from './strace-line.ts'
import { childView, firstView, type ProcessView, pathInside } from './strace-process.ts'

/** What a line of the log says about files, in the paths of this machine. */
export interface StraceSink {
  opened(path: RawPath, how: { readonly flags: string }): void
  executed(path: RawPath): void
  created(path: RawPath, isFolder: boolean): void
  removed(path: RawPath): void
  renamed(from: RawPath, to: RawPath): void
  exchanged(a: RawPath, b: RawPath): void
  linked(from: RawPath, to: RawPath): void
  truncated(path: RawPath, sizeBytes: number): void
  attributed(path: RawPath): void
  /** A program that is no file, a socket that somebody was asked over. */
  special(what: string): void
  network(): void
  /** Something was opened or changed whose name strace could not read: the process is not dumpable, or gone. */
  blind(): void
  ended(pid: number): void
  started(pid: number): void
}

/** Follows the processes of one log and tells the sink what they did. */
export interface StraceActs {
  /** One character per byte, without the newline. */
  take(line: string): void
  /** Processes whose start was never seen are taken to be where the command started. */
  finish(): void
}

export function openStraceActs(cwd: RawPath, sink: StraceSink): StraceActs {
  const views = new Map<number, ProcessView>()
  /** Lines of processes whose parent's line has not come yet. */
  const early = new Map<number, StraceLine[]>()

  const take = (line: StraceLine, view: ProcessView): void => {
    if (line.kind === 'end') {
      views.delete(line.pid)
      sink.ended(line.pid)
      return
    }
    if (line.kind === 'unreadable') {
      sink.blind()
      return
    }
    if (line.kind === 'superseded') {
      const program = tryProgramOf(line.pid)
      if (program === undefined) sink.blind()
      else sink.executed(program)
      return
    }
    const childPid = takeCall(line.call, view, sink)
    if (childPid !== undefined) start(childPid, childView(view, line.call.args.join(',')))
  }
  const start = (pid: number, view: ProcessView): void => {
    views.set(pid, view)
    sink.started(pid)
    const waiting = early.get(pid) ?? []
    early.delete(pid)
    for (const line of waiting) take(line, view)
  }
  return {
    take(text) {
      const line = parseStraceLine(text)
      if (line === undefined) return
      if (views.size === 0 && early.size === 0) start(line.pid, firstView(cwd))
      const view = views.get(line.pid)
      if (view !== undefined) return take(line, view)
      const waiting = early.get(line.pid)
      if (waiting === undefined) early.set(line.pid, [line])
      else waiting.push(line)
    },
    finish() {
      for (const pid of [...early.keys()]) start(pid, firstView(cwd))
    },
  }
}

/** @returns the pid of a process that the call has started */
function takeCall(call: TracedCall, view: ProcessView, sink: StraceSink): number | undefined {
  const { name, args, result } = call
  const noteCwd = (folder: string | undefined): void => {
    if (folder?.startsWith('AT_FDCWD') === true) view.cwd = descriptorPath(folder) ?? view.cwd
  }
  /** The path argument `at`, relative to the descriptor before it for the calls that have one. */
  const at = (folder: number | undefined, path: number): RawPath | undefined => {
    const shown = folder === undefined ? undefined : descriptorPath(args[folder])
    if (folder !== undefined) noteCwd(args[folder])
    const text = quotedText(args[path])
    if (text === undefined && args[path]?.startsWith('0x') === true) sink.blind()
    if (text === undefined) return shown === undefined ? undefined : view.mounts.outside(shown)
    if (text === '' && folder !== undefined && shown === undefined) return undefined
    return pathOnDisk(view, pathInside(view, shown, text))
  }
  const told = (path: RawPath | undefined, tell: (path: RawPath) => void): undefined => {
    if (path !== undefined) tell(path)
  }
  const toldBoth = (
    a: RawPath | undefined,
    b: RawPath | undefined,
    tell: (a: RawPath, b: RawPath) => void,
  ): undefined => {
    if (a !== undefined && b !== undefined) tell(a, b)
  }
  switch (name) {
    case 'open':
      return opened(call, args[1], () => at(undefined, 0), view, sink)
    case 'creat':
      return opened(call, 'O_WRONLY|O_CREAT|O_TRUNC', () => at(undefined, 0), view, sink)
    case 'openat':
    case 'openat2':
      noteCwd(args[0])
      return opened(call, args[2], () => at(0, 1), view, sink)
    case 'open_by_handle_at':
      return opened(call, args[2], () => undefined, view, sink)
    case 'execve':
      return told(at(undefined, 0), path => sink.executed(realPath(path)))
    case 'execveat': {
      const path = at(0, 1)
      if (path === undefined || isDeletedDescriptor(args[0])) sink.special(descriptorText(args[0]))
      else sink.executed(realPath(path))
      return undefined
    }
    case 'chdir':
    case 'fchdir': {
      const text = quotedText(args[0])
      const inside = text === undefined ? descriptorPath(args[0]) : pathInside(view, undefined, text)
      if (inside !== undefined) view.cwd = inside
      return undefined
    }
    case 'chroot': {
      const text = quotedText(args[0])
      if (text !== undefined) view.root = pathInside(view, undefined, text)
      return undefined
    }
    case 'unshare':
      if (hasFlag(args[0], 'CLONE_NEWNS')) view.mounts = view.mounts.copy()
      return undefined
    case 'mount':
      return mounted(args, view)
    case 'pivot_root': {
      const [newRoot, putOld] = args.map(quotedText)
      if (newRoot !== undefined && putOld !== undefined) {
        const cwd = view.cwd
        view.mounts.pivoted(pathInside(view, undefined, newRoot), pathInside(view, undefined, putOld))
        view.cwd = cwd === pathInside(view, undefined, newRoot) ? ('/' as RawPath) : cwd
      }
      return undefined
    }
    case 'rename':
      return toldBoth(at(undefined, 0), at(undefined, 1), sink.renamed)
    case 'renameat':
      return toldBoth(at(0, 1), at(2, 3), sink.renamed)
    case 'renameat2':
      return toldBoth(at(0, 1), at(2, 3), hasFlag(args[4], 'RENAME_EXCHANGE') ? sink.exchanged : sink.renamed)
    case 'link':
      return toldBoth(at(undefined, 0), at(undefined, 1), sink.linked)
    case 'linkat': {
      const isNameless = isDeletedDescriptor(args[0]) || quotedText(args[1])?.startsWith('/proc/') === true
      if (isNameless) return told(at(2, 3), path => sink.created(path, false))
      return toldBoth(at(0, 1), at(2, 3), sink.linked)
    }
    case 'unlink':
    case 'rmdir':
      return told(at(undefined, 0), sink.removed)
    case 'unlinkat':
      return told(at(0, 1), sink.removed)
    case 'mkdir':
      return told(at(undefined, 0), path => sink.created(path, true))
    case 'mkdirat':
      return told(at(0, 1), path => sink.created(path, true))
    case 'symlink':
      return told(at(undefined, 1), path => sink.created(path, false))
    case 'symlinkat':
      return told(at(1, 2), path => sink.created(path, false))
    case 'mknod':
      return told(at(undefined, 0), path => sink.created(path, false))
    case 'mknodat':
      return told(at(0, 1), path => sink.created(path, false))
    case 'truncate':
      return told(at(undefined, 0), path => sink.truncated(path, Number(args[1])))
    case 'chmod':
    case 'chown':
    case 'lchown':
    case 'utime':
    case 'utimes':
    case 'setxattr':
    case 'lsetxattr':
    case 'removexattr':
    case 'lremovexattr':
      return told(at(undefined, 0), sink.attributed)
    case 'fchmod':
    case 'fchown':
    case 'fsetxattr':
    case 'fremovexattr':
      return isDeletedDescriptor(args[0]) ? undefined : told(outsideOf(args[0], view), sink.attributed)
    case 'fchmodat':
    case 'fchmodat2':
    case 'fchownat':
    case 'utimensat':
    case 'futimesat':
      return isDeletedDescriptor(args[0]) ? undefined : told(at(0, 1), sink.attributed)
    case 'socket':
      if (!/^AF_(UNIX|LOCAL|NETLINK)/.test(args[0] ?? '')) sink.network()
      return undefined
    case 'bind': {
      const text = quotedText(/sun_path=(".*")/.exec(args[1] ?? '')?.[1])
      return told(text === undefined ? undefined : pathOnDisk(view, pathInside(view, undefined, text)), path =>
        sink.created(path, false),
      )
    }
    case 'connect':
      if (args[1]?.includes('AF_UNIX') === true) sink.special(`socket ${/sun_path=(@?".*")/.exec(args[1])?.[1] ?? ''}`)
      return undefined
    case 'fork':
    case 'vfork':
    case 'clone':
    case 'clone3':
      return Number.parseInt(result, 10) || undefined
  }
  return undefined
}

/** A process that is not dumpable shows no paths behind its descriptors: then the name it gave has to do. */
function opened(
  call: TracedCall,
  flags: string | undefined,
  named: () => RawPath | undefined,
  view: ProcessView,
  sink: StraceSink,
): undefined {
  if (isDeletedDescriptor(call.result) || hasFlag(flags, 'O_PATH')) return
  const isShown = call.result.includes('<')
  const path = isShown ? outsideOf(call.result, view) : real(named())
  if (path !== undefined) sink.opened(path, { flags: flags ?? '' })
}

/** What the process is running now. */
function tryProgramOf(pid: number): RawPath | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`, 'latin1') as RawPath
  } catch {
    return undefined // gone, or not ours to look into
  }
}

function real(path: RawPath | undefined): RawPath | undefined {
  return path === undefined ? undefined : realPath(path)
}

function outsideOf(descriptor: string | undefined, view: ProcessView): RawPath | undefined {
  const shown = descriptorPath(descriptor)
  return shown === undefined ? undefined : view.mounts.outside(shown)
}

function mounted(args: readonly string[], view: ProcessView): undefined {
  const target = quotedText(args[1])
  if (target === undefined) return
  const flags = args[3]
  const isChange = ['MS_REMOUNT', 'MS_PRIVATE', 'MS_SLAVE', 'MS_SHARED', 'MS_UNBINDABLE'].some(f => hasFlag(flags, f))
  if (isChange) return
  const inside = pathInside(view, undefined, target)
  const source = quotedText(args[0])
  const isBind = hasFlag(flags, 'MS_BIND') || hasFlag(flags, 'MS_MOVE')
  view.mounts.mounted(inside, isBind && source !== undefined ? pathInside(view, undefined, source) : undefined)
}
