import { closeSync, constants, openSync, readlinkSync } from 'node:fs'
import { type DescriptorEvent, errnoOf, FAN, type FanotifyGroup, type FileFacts } from '../../sys/mod.ts'
import type { ContentSource, SeenContent } from './content.ts'
import type { Ledger } from './ledger.ts'
import type { Reason } from './observation.ts'
import { openOldFiles } from './old-files.ts'
import { type OpenIntent, openIntent } from './open-intent.ts'
import { pathBytes, type RawPath } from './raw-path.ts'

/** Answers the openers of the permission group, and sees every file from before the run first. */
export interface ReadWatch {
  take(event: DescriptorEvent): void
  /** The name group has told of an open. True when no permission event came for it: an unmarked mount. */
  openedUnseen(path: RawPath): boolean
  /** Catches up on what was opened through unmarked mounts, and secures contents that are about to get lost. */
  finish(): ReadSummary
}

export interface ReadSummary {
  /** By the name from before the run. */
  readonly reads: ReadonlyMap<RawPath, SeenContent | undefined>
  readonly overwritten: readonly RawPath[]
  readonly special: readonly RawPath[]
}

export interface ReadWatchOptions {
  readonly group: FanotifyGroup
  readonly ledger: Ledger
  readonly contents: ContentSource
  readonly factsOf: (fd: number) => FileFacts
  readonly isExcluded: (path: RawPath) => boolean
  /** True for a device whose names we do not hear of. */
  readonly isNameless: (device: string) => boolean
  /** No file from before the run is younger. */
  readonly startNs: () => bigint
  readonly onLoss: (side: 'inputs' | 'outputs', reason: Reason) => void
}

/** The thread of this process that starts the command; the process is the first of its pid namespace. */
const OUR_THREAD = 1

export function openReadWatch(options: ReadWatchOptions): ReadWatch {
  const { group, ledger, factsOf, onLoss } = options
  const files = openOldFiles(options.contents, factsOf)
  /** Inode by name from before the run; contents may be copied late, so they are looked up at the end. */
  const reads = new Map<RawPath, string>()
  const overwritten = new Set<RawPath>()
  const special = new Set<RawPath>()
  /** Names as the permission group has shown them. */
  const shown = new Set<RawPath>()
  const unseen = new Set<RawPath>()
  const scratch = Buffer.allocUnsafe(256)

  const isOlder = (facts: FileFacts): boolean => (facts.birthNs ?? facts.modifyNs) < options.startNs()

  /** The name of the file before the run; `undefined` when the run made it, or when nobody wants to know. */
  const nameBefore = (path: RawPath, facts: FileFacts): RawPath | undefined => {
    shown.add(path.replace(/ \(deleted\)$/, '') as RawPath)
    if (options.isExcluded(path)) return undefined
    if (!facts.isRegular) {
      special.add(path)
      return undefined
    }
    if (facts.linkCount === 0) return isOlder(facts) ? path : undefined
    if (options.isNameless(facts.identity.toString('latin1', 0, 8))) {
      onLoss('outputs', 'unmarked-superblock')
      return isOlder(facts) ? path : undefined
    }
    // A further name that the run gave to an old file: the kernel does not tell the old one, so the new one stands.
    return ledger.origin(path) ?? (facts.linkCount > 1 && isOlder(facts) ? path : undefined)
  }
  /** @returns true when the descriptor is kept */
  const meet = (fd: number, facts: FileFacts, before: RawPath, intent: OpenIntent): boolean => {
    const known = files.tryGet(facts.inode)
    if (known === undefined && intent === 'truncate') {
      files.lose(facts)
      overwritten.add(before)
      group.ignoreOpens(fd)
      return false
    }
    if (known !== undefined) {
      if (!overwritten.has(before)) reads.set(before, facts.inode)
      if (intent !== 'read' && !files.secure(known)) onLoss('inputs', 'old-content-lost')
      return false
    }
    const file = files.meet(fd, facts, intent === 'read' ? 'if-small' : 'always')
    reads.set(before, facts.inode)
    if (file.content === undefined) onLoss('inputs', 'changed-while-read')
    if (file.heldFd === undefined && facts.linkCount === 1) group.ignoreOpens(fd)
    return file.heldFd === fd
  }
  /** Lets the opener go in any case; who only reads need not wait, since who wants to change must ask us first. */
  const admit = (event: DescriptorEvent): boolean => {
    const { fd } = event
    let isWaiting = true
    const allow = (): void => {
      if (isWaiting) group.allow(fd)
      isWaiting = false
    }
    try {
      if (event.pid === OUR_THREAD) return false
      const facts = factsOf(fd)
      const before = nameBefore(readlinkSync(`/proc/self/fd/${fd}`, 'latin1') as RawPath, facts)
      if (before === undefined) {
        group.ignoreOpens(fd)
        return false
      }
      const known = files.tryGet(facts.inode)
      const intent = known !== undefined && known.heldFd === undefined ? 'read' : openIntent(event.pid, scratch)
      if (intent === 'read') allow()
      return meet(fd, facts, before, intent)
    } finally {
      allow()
    }
  }
  const noteWrite = (fd: number): void => {
    const path = readlinkSync(`/proc/self/fd/${fd}`, 'latin1') as RawPath
    if (options.isExcluded(path)) return
    if (isOlder(factsOf(fd))) ledger.touched(path, 'content')
    else ledger.created(path, false)
  }
  /** What was opened through a mount without marks: its content is still the old one if nobody has changed it. */
  const catchUp = (path: RawPath): void => {
    const before = ledger.origin(path)
    if (before === undefined || reads.has(before)) return
    let fd: number
    try {
      fd = openSync(pathBytes(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) throw error
      onLoss('inputs', 'old-content-lost')
      return
    }
    let isKept = false
    try {
      const facts = factsOf(fd)
      if (!facts.isRegular || [...reads.values()].includes(facts.inode)) return
      if (facts.modifyNs < options.startNs()) isKept = meet(fd, facts, before, 'read')
      else onLoss('inputs', 'old-content-lost')
    } finally {
      if (!isKept) closeSync(fd)
    }
  }
  return {
    take(event) {
      if (event.fd < 0) {
        onLoss('inputs', 'event-fd-error')
        return
      }
      let isKept = false
      try {
        if ((event.mask & FAN.CLOSE_WRITE) !== 0) noteWrite(event.fd)
        if ((event.mask & FAN.OPEN_PERM) !== 0) isKept = admit(event)
      } finally {
        if (!isKept) closeSync(event.fd)
      }
    },
    openedUnseen(path) {
      if (shown.has(path) || options.isExcluded(path)) return false
      const before = ledger.origin(path)
      if (before === undefined || reads.has(before)) return false
      unseen.add(path)
      return true
    },
    finish() {
      for (const path of unseen) catchUp(path)
      if (files.finish().length > 0) onLoss('inputs', 'old-content-lost')
      return {
        reads: new Map([...reads].map(([path, inode]) => [path, files.tryGet(inode)?.content])),
        overwritten: [...overwritten].filter(path => !reads.has(path)),
        special: [...special].sort(),
      }
    },
  }
}
