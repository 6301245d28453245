import { closeSync, openSync, writeFileSync } from 'node:fs'
import { type Awaited, descriptorEvents, eventWaiter, fileFactsReader, openFanotify } from '../../sys/mod.ts'
import { openContentSource } from './content.ts'
import { openDigestCache } from './digest-cache.ts'
import { excluder } from './exclusion.ts'
import { openFolderPaths } from './folder-paths.ts'
import { openLedger } from './ledger.ts'
import { openNameWatch } from './name-watch.ts'
import type { Reason } from './observation.ts'
import type { RawPath } from './raw-path.ts'
import { openReadWatch } from './read-watch.ts'
import { openSurfaces } from './surfaces.ts'
import { encodeWatchResult, WATCH_STATE, type WatchOrder } from './watch-protocol.ts'

/** What the two threads of the watcher share. */
export interface WatchThread {
  readonly order: WatchOrder
  /** One of {@link WATCH_STATE}. */
  readonly state: Int32Array<SharedArrayBuffer>
  /** Nanoseconds since 1970; set before the command starts. */
  readonly start: BigInt64Array<SharedArrayBuffer>
  /** Becomes readable when the run is over. */
  readonly overFd: number
}

/**
 * The thread that answers the kernel. It stays in a mount namespace where nothing is marked, so it may open files; the
 * command runs in a namespace of its own, whose every mount is marked. Each opener waits until this thread has seen
 * the file, which is why the old content of what gets overwritten is known. If it dies, the kernel lets all openers go.
 */
export function answerKernel({ order, state, start, overFd }: WatchThread): void {
  const reasons = { inputs: new Set<Reason>(), outputs: new Set<Reason>() }
  const onLoss = (side: 'inputs' | 'outputs', reason: Reason): void => void reasons[side].add(reason)
  const permission = openFanotify('permission')
  const names = openFanotify('name')
  const ledger = openLedger()
  const folders = openFolderPaths()
  const factsOf = fileFactsReader()
  const isExcluded = excluder(order.excluded)
  const surfaces = openSurfaces({ permission, names, folders })
  const spoolFd = openSync(order.spoolPath, 'w', 0o600)
  const reads = openReadWatch({
    group: permission,
    ledger,
    contents: openContentSource({ spoolFd, cache: openDigestCache(order.cachePath), factsOf }),
    factsOf,
    isExcluded,
    isNameless: surfaces.isNameless,
    startNs: () => start[0] as bigint,
    onLoss,
  })
  const listed = new Set<RawPath>()
  const nameWatch = openNameWatch({
    group: names,
    folders,
    ledger,
    isExcluded,
    onOpen: (path, pid) => {
      if (reads.openedUnseen(path)) surfaces.addNamespaceOf(pid)
    },
    onList: path => {
      const before = ledger.origin(path)
      if (before !== undefined) listed.add(before)
    },
    onLoss: reason => {
      onLoss('inputs', reason)
      onLoss('outputs', reason)
    },
  })

  setState(state, WATCH_STATE.ready)
  Atomics.wait(state, 0, WATCH_STATE.ready) // until the main thread is in the command's mount namespace
  surfaces.addNamespaceOf('self')
  setState(state, WATCH_STATE.marked)

  const ours: readonly Awaited[] = [permission.fd, names.fd, overFd].map(fd => ({ fd, for: 'input' }))
  let awaited = [...ours, ...surfaces.changes()]
  let wait = eventWaiter(awaited)
  const buffer = Buffer.allocUnsafe(4096) // each event brings an open descriptor: not too many at once
  for (;;) {
    const isReady = wait()
    nameWatch.drain() // names first: they changed before the opens that wait now
    if (awaited.some((entry, i) => entry.for === 'change' && isReady(i))) surfaces.refresh()
    const size = permission.read(buffer)
    for (const event of descriptorEvents(buffer, size)) reads.take(event)
    if (isReady(2) && size === 0 && !isReady(1)) break
    if (surfaces.changes().length !== awaited.length - ours.length) {
      awaited = [...ours, ...surfaces.changes()]
      wait = eventWaiter(awaited)
    }
  }
  nameWatch.finish()
  const summary = reads.finish()
  const text = encodeWatchResult({
    ...summary,
    startNs: start[0] as bigint,
    listed: [...listed].sort(),
    names: ledger.summary(),
    inputReasons: [...reasons.inputs].sort(),
    outputReasons: [...reasons.outputs].sort(),
  })
  writeFileSync(order.resultPath, text, { mode: 0o600 })
  closeSync(spoolFd)
  surfaces.close()
  permission.close()
  names.close()
  setState(state, WATCH_STATE.written)
}

export function setState(state: Int32Array<SharedArrayBuffer>, value: number): void {
  Atomics.store(state, 0, value)
  Atomics.notify(state, 0)
}
