import { FAN, type FanotifyGroup, type FolderHandle, type NameEvent, nameEvents } from '../../sys/mod.ts'
import type { FolderPaths } from './folder-paths.ts'
import type { Ledger } from './ledger.ts'
import type { Reason } from './observation.ts'
import { joinPath, type RawPath } from './raw-path.ts'

/** What a name group is asked for: every change of a name, of content and of attributes, and every open. */
export const NAME_MASK =
  FAN.CREATE | FAN.DELETE | FAN.RENAME | FAN.ATTRIB | FAN.MODIFY | FAN.CLOSE_WRITE | FAN.OPEN | FAN.ONDIR

export interface NameWatch {
  /** Takes in all that waits; what the events tell happened before this call. */
  drain(): void
  /** No further event will come. */
  finish(): void
}

export interface NameWatchOptions {
  readonly group: FanotifyGroup
  readonly folders: FolderPaths
  readonly ledger: Ledger
  readonly isExcluded: (path: RawPath) => boolean
  readonly onOpen: (path: RawPath, pid: number) => void
  readonly onList: (path: RawPath) => void
  readonly onLoss: (reason: Reason) => void
}

interface Rename {
  readonly from: RawPath
  readonly to: RawPath
  readonly isFolder: boolean
  readonly target: string | undefined
}

const BUFFER_SIZE_BYTES = 256 * 1024
/** This process is the first of its pid namespace; whoever is outside shows as 0. */
const OUR_PID = 1

/**
 * Feeds the ledger from a group that sees whole file systems, host included: only processes of our pid namespace carry
 * a pid. Events of one process on one name merge, so the bits of a mask have no order.
 */
export function openNameWatch(options: NameWatchOptions): NameWatch {
  const { group, folders, ledger, onLoss } = options
  const buffer = Buffer.allocUnsafe(BUFFER_SIZE_BYTES)
  /** Events in folders that were removed before we could look them up: the event of the removal tells their name. */
  const waiting = new Map<string, NameEvent[]>()
  /** Held back for one event: RENAME_EXCHANGE comes as two events, there and back, that move two different things. */
  let held: Rename | undefined

  const place = (key: string | undefined, path: RawPath): void => {
    if (key === undefined) return
    folders.place(key, path)
    const late = waiting.get(key)
    if (late === undefined) return
    waiting.delete(key)
    for (const event of late) take(event)
  }
  const pathOf = (folder: FolderHandle, name: string): RawPath | undefined => {
    const path = folders.tryPath(folder)
    return path === undefined || name === '.' ? path : joinPath(path, name)
  }
  const wait = (folder: FolderHandle, event: NameEvent): void => {
    const others = waiting.get(folder.key)
    if (others === undefined) waiting.set(folder.key, [event])
    else others.push(event)
  }
  const take = (event: NameEvent): void => {
    const { mask, at, to } = event
    if (to === undefined) release()
    if ((mask & FAN.Q_OVERFLOW) !== 0) onLoss('queue-overflow')
    if (event.pid === 0 || event.pid === OUR_PID || at === undefined) return
    const path = pathOf(at.folder, at.name)
    if (path === undefined) {
      wait(at.folder, event)
      return
    }
    const isFolder = (mask & FAN.ONDIR) !== 0
    if (to !== undefined) {
      const target = pathOf(to.folder, to.name)
      if (target === undefined) wait(to.folder, event)
      else takeRename(path, target, isFolder, event.target)
      return
    }
    if (isFolder && (mask & (FAN.CREATE | FAN.DELETE)) !== 0) place(event.target, path)
    if (options.isExcluded(path)) return
    if ((mask & FAN.CREATE) !== 0) ledger.created(path, isFolder)
    if ((mask & (FAN.MODIFY | FAN.CLOSE_WRITE)) !== 0) ledger.touched(path, 'content')
    if ((mask & FAN.ATTRIB) !== 0) ledger.touched(path, 'attributes')
    if ((mask & FAN.DELETE) !== 0) ledger.removed(path)
    if ((mask & FAN.OPEN) !== 0) {
      if (isFolder) options.onList(path)
      else options.onOpen(path, event.pid)
    }
  }
  const takeRename = (from: RawPath, to: RawPath, isFolder: boolean, target: string | undefined): void => {
    if (isFolder) {
      folders.forgetAll()
      place(target, to)
    }
    const isSwap = held !== undefined && held.from === to && held.to === from && held.target !== target
    if (isSwap) {
      held = undefined
      if (!options.isExcluded(from) && !options.isExcluded(to)) ledger.exchanged(from, to)
      return
    }
    release()
    held = { from, to, isFolder, target }
  }
  const release = (): void => {
    if (held === undefined) return
    const { from, to, isFolder } = held
    held = undefined
    const isFromExcluded = options.isExcluded(from)
    const isToExcluded = options.isExcluded(to)
    if (isFromExcluded && isToExcluded) return
    if (isFromExcluded) ledger.created(to, isFolder)
    else if (isToExcluded) ledger.removed(from)
    else ledger.renamed(from, to, isFolder)
  }
  return {
    drain() {
      for (let size = group.read(buffer); size > 0; size = group.read(buffer)) {
        for (const event of nameEvents(buffer, size)) take(event)
      }
      release()
    },
    finish() {
      if (waiting.size > 0) onLoss('folder-unknown')
    },
  }
}
