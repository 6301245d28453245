import { join } from 'node:path'
import type { DiskStore } from './disk-store.ts'
import { readWholeFile, type StoreFs } from './fs.ts'
import { parseSegmentName, parseSnapshotName, segmentId, shardPath, snapshotPath } from './layout.ts'

/**
 * Clears away what a killed writer has left, under the lock of the next one. Doing it twice changes nothing more.
 * Sealed blocks without an entry stay: `check` reports them and `gc` removes them.
 */
export function recover(store: DiskStore, fs: StoreFs): void {
  cutTornTail(store, fs)
  removeAll(fs, store.paths.openBlocks, () => true)
  removeAll(fs, store.paths.tmp, name => name.endsWith('.tmp'))
  removeUnnamedSegments(store, fs)
  removeUnnamedSnapshots(store, fs)
}

/** Keeps the tail under `tmp/log-tail-<offset>.bin` and cuts it off. */
function cutTornTail(store: DiskStore, fs: StoreFs): void {
  const end = store.logEnd
  if (end === undefined || end.tail !== 'torn') return
  const { offset } = end.position
  const copy = join(store.paths.tmp, `log-tail-${offset}.bin`)
  const tail = readWholeFile(fs, store.paths.log, Number.MAX_SAFE_INTEGER).subarray(offset)
  fs.unlink(copy)
  writeNewFile(fs, copy, tail, 0o644)
  fs.fsyncFolder(store.paths.tmp)
  const fd = fs.openForWriting(store.paths.log)
  try {
    fs.truncate(fd, offset)
    fs.fsync(fd)
  } finally {
    fs.close(fd)
  }
  store.refresh()
}

function removeUnnamedSegments(store: DiskStore, fs: StoreFs): void {
  const named = new Set(store.log.segments.map(segment => segment.segmentId))
  for (let shard = 0; shard < store.config.shardCount; shard++) {
    removeAll(fs, shardPath(store.paths, shard), name => {
      if (name.endsWith('.tmp')) return true
      const number = parseSegmentName(name)
      return number !== undefined && !named.has(segmentId(shard, number))
    })
  }
}

/** A folder that no anchor names was never a snapshot; one that retention has removed is one no more. */
function removeUnnamedSnapshots(store: DiskStore, fs: StoreFs): void {
  for (const name of fs.readdir(store.paths.snapshots)) {
    const id = parseSnapshotName(name)
    const isKept = id !== undefined && store.log.snapshots.has(id) && !store.log.removedSnapshots.has(id)
    if (!isKept && (id !== undefined || name.endsWith('.tmp'))) removeFolder(fs, join(store.paths.snapshots, name))
  }
}

/** Removes a folder of files. */
export function removeFolder(fs: StoreFs, path: string): void {
  for (const name of fs.readdir(path)) fs.unlink(join(path, name))
  fs.rmdir(path)
}

export function removeSnapshotFolder(store: DiskStore, fs: StoreFs, id: number): void {
  if (fs.stat(snapshotPath(store.paths, id)) !== undefined) removeFolder(fs, snapshotPath(store.paths, id))
}

/** A new file with this content, on the disk but for its name. */
export function writeNewFile(fs: StoreFs, path: string, bytes: Uint8Array, mode: number): void {
  const fd = fs.create(path, mode)
  try {
    fs.pwrite(fd, bytes, 0)
    fs.fsync(fd)
  } finally {
    fs.close(fd)
  }
}

function removeAll(fs: StoreFs, folder: string, isLeft: (name: string) => boolean): void {
  for (const name of fs.readdir(folder)) if (isLeft(name)) fs.unlink(join(folder, name))
}
