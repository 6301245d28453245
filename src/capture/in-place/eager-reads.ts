import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs'
import { errnoOf, type FileFacts } from '../../sys/mod.ts'
import type { ContentSource, SeenContent } from './content.ts'
import { elfInterpreter, scriptInterpreter } from './interpreter.ts'
import type { Ledger } from './ledger.ts'
import type { Reason } from './observation.ts'
import { openOldFiles } from './old-files.ts'
import { realPath } from './path-on-disk.ts'
import { isWithin, pathBytes, type RawPath, rebasePath } from './raw-path.ts'

/**
 * Reads files right after a tracer has told that a process opened them. The process goes on meanwhile, so a content
 * counts only if its file is older than the run; what a process changes within that moment is lost, and said to be.
 */
export interface EagerReads {
  /** A file or folder was opened; `path` is its name now. */
  opened(path: RawPath, how: { readonly keepsContent: boolean; readonly changes: boolean }): void
  /** A folder was opened. */
  listed(path: RawPath): void
  /** A program was started: its interpreters, which no call names, were opened by the kernel. */
  executed(path: RawPath): void
  /** The file is about to be, or has just been, cut or changed by name. */
  overwrote(path: RawPath): void
  finish(): {
    readonly reads: ReadonlyMap<RawPath, SeenContent | undefined>
    readonly overwritten: readonly RawPath[]
    readonly listed: readonly RawPath[]
    readonly special: readonly RawPath[]
  }
}

export interface EagerReadsOptions {
  readonly ledger: Ledger
  readonly contents: ContentSource
  readonly factsOf: (fd: number) => FileFacts
  readonly isExcluded: (path: RawPath) => boolean
  readonly startNs: bigint
  readonly onLoss: (reason: Reason) => void
}

export function openEagerReads(options: EagerReadsOptions): EagerReads {
  const { ledger, factsOf, startNs, onLoss } = options
  const files = openOldFiles(options.contents, factsOf)
  const reads = new Map<RawPath, string>()
  const lost = new Set<RawPath>()
  const overwritten = new Set<RawPath>()
  const listed = new Set<RawPath>()
  const special = new Set<RawPath>()
  /** Gone before we came: moved perhaps, which we shall know in the end. */
  const missed = new Set<RawPath>()
  const later: { readonly path: RawPath; readonly before: RawPath; readonly identity: Buffer }[] = []

  const lose = (before: RawPath, reason: Reason): void => {
    lost.add(before)
    onLoss(reason)
  }
  /** @returns true when the descriptor is kept */
  const meet = (fd: number, before: RawPath, path: RawPath): boolean => {
    const facts = factsOf(fd)
    if (facts.isFolder) listed.add(before)
    else if (!facts.isRegular) special.add(path)
    if (!facts.isRegular) return false
    const known = files.tryGet(facts.inode)
    if (known === undefined && facts.modifyNs >= startNs) {
      if ((facts.birthNs ?? 0n) >= startNs) ledger.created(path, false)
      else lose(before, 'changed-while-read')
      return false
    }
    reads.set(before, facts.inode)
    if (known !== undefined) return false
    if (!isWritable(path)) {
      // The command cannot change it either: there is time, and what it can change must come first.
      later.push({ path, before, identity: facts.identity })
      if (later.length === 1) setImmediate(readLater)
      return false
    }
    return see(fd, facts)
  }
  const see = (fd: number, facts: FileFacts): boolean => {
    const file = files.meet(fd, facts, 'if-small')
    if (file.content === undefined) onLoss('changed-while-read')
    return file.heldFd === fd
  }
  const readLater = (): void => {
    const next = later.shift()
    if (next === undefined) return
    withFile(next.path, next.before, fd => {
      const facts = factsOf(fd)
      if (files.tryGet(facts.inode) !== undefined) return false
      if (facts.identity.equals(next.identity)) return see(fd, facts)
      lose(next.before, 'changed-while-read')
      return false
    })
    if (later.length > 0) setImmediate(readLater)
  }
  const read = (path: RawPath): void => {
    if (options.isExcluded(path)) return
    const before = ledger.origin(path)
    if (before === undefined || reads.has(before) || overwritten.has(before) || listed.has(before)) return
    withFile(path, before, fd => meet(fd, before, path))
  }
  /** `use` answers true when it keeps the descriptor. */
  const withFile = (path: RawPath, before: RawPath, use: (fd: number) => boolean): void => {
    let fd: number
    try {
      fd = openSync(pathBytes(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    } catch (error) {
      const errno = errnoOf(error) ?? ''
      if (errno === 'EACCES' || errno === 'EPERM') lose(before, 'unreadable')
      else if (errno === 'ENXIO' || errno === 'ENODEV') special.add(path)
      else if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errno)) missed.add(before)
      else throw error
      return
    }
    let isKept = false
    try {
      isKept = use(fd)
    } finally {
      if (!isKept) closeSync(fd)
    }
  }
  const findMissed = (): void => {
    const { moved } = ledger.summary()
    for (const before of [...missed]) {
      const move = moved.find(([from]) => isWithin(before, from))
      const now = move === undefined ? undefined : rebasePath(before, ...move)
      if (now !== undefined) withFile(now, before, fd => meet(fd, before, now))
      if (!reads.has(before) && !lost.has(before)) lose(before, 'old-content-lost')
    }
  }
  const executed = (path: RawPath, depth: number): void => {
    read(path)
    const head = depth < INTERPRETER_DEPTH ? tryHead(path) : undefined
    const next = head === undefined ? undefined : (scriptInterpreter(head) ?? elfInterpreter(head))
    if (next !== undefined) executed(realPath(next), depth + 1)
  }
  return {
    opened(path, { keepsContent, changes }) {
      if (keepsContent) read(path)
      if (!changes || options.isExcluded(path)) return
      const before = ledger.origin(path)
      if (!keepsContent && before !== undefined && !reads.has(before)) overwritten.add(before)
      ledger.touched(path, 'content')
    },
    listed(path) {
      const before = options.isExcluded(path) ? undefined : ledger.origin(path)
      if (before !== undefined) listed.add(before)
    },
    executed: path => executed(path, 0),
    overwrote(path) {
      const before = ledger.origin(path)
      if (before !== undefined && !reads.has(before)) overwritten.add(before)
    },
    finish() {
      findMissed()
      while (later.length > 0) readLater()
      if (files.finish().length > 0) onLoss('old-content-lost')
      const contents = new Map<RawPath, SeenContent | undefined>()
      for (const path of lost) contents.set(path, undefined)
      for (const [path, inode] of reads) contents.set(path, files.tryGet(inode)?.content)
      return {
        reads: contents,
        overwritten: [...overwritten].filter(path => !contents.has(path)),
        listed: [...listed],
        special: [...special],
      }
    },
  }
}

function isWritable(path: RawPath): boolean {
  try {
    accessSync(pathBytes(path), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The kernel follows no more interpreters of interpreters (execve(2), BINPRM_MAX_RECURSION). */
const INTERPRETER_DEPTH = 5

function tryHead(path: RawPath): Buffer | undefined {
  let fd: number
  try {
    fd = openSync(pathBytes(path), constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return undefined // not readable for us: the loss is named where the file itself is read
  }
  try {
    const head = Buffer.alloc(4096)
    return head.subarray(0, readSync(fd, head, 0, head.length, 0))
  } finally {
    closeSync(fd)
  }
}
