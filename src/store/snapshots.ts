import { join } from 'node:path'
import { AslError, type Reference, type Sha256, sha256 } from '../core/mod.ts'
import { type DiskStore, guarded } from './disk-store.ts'
import { readWholeFile } from './fs.ts'
import { snapshotPath } from './layout.ts'
import { RECORD_TYPES } from './log-codec.ts'
import { encodeSnapshotAnchor, encodeSnapshotRemoved } from './log-payloads.ts'
import { type AnchoredSnapshot, type LogState, newestSnapshot, nextSnapshotId } from './log-state.ts'
import { removeFolder, writeNewFile } from './recovery.ts'
import { SNAPSHOT, type Snapshot } from './snapshot-codec.ts'

export interface SnapshotInfo {
  readonly snapshotId: number
  /** Raw hash of `snapshot.cbor`, as its log record has it. */
  readonly rootHash: Sha256
  readonly logPrefix: number
  /** Why it is kept; absent when retention may remove it. */
  readonly pin?: string
}

export interface SnapshotOptions {
  /** Keeps it from retention and gc: one line that says why. */
  readonly pin?: string
  readonly damRef?: Reference
  readonly policyRef?: Reference
  readonly witnessRef?: Reference
  readonly envClaimRef?: Reference
  /** Makes `snapshot.sig` from the bytes of `snapshot.cbor`. */
  readonly sign?: (snapshot: Buffer) => Uint8Array
}

/** Names the state of now. The folder is complete and on the disk before the log record that anchors it. */
export function takeSnapshot(store: DiskStore, options: SnapshotOptions = {}): SnapshotInfo {
  const { pin, sign, ...references } = options
  const access = store.requireWriting()
  const pinBytes = pin === undefined ? undefined : pinLine(pin)
  return guarded(`Cannot take a snapshot of "${store.location}"`, () =>
    access.alone(() => {
      const { fs } = access
      const snapshot = describeState(store, references)
      const bytes = SNAPSHOT.encode(snapshot)
      const rootHash = sha256(bytes)
      const signature = sign?.(bytes)
      const folder = snapshotPath(store.paths, snapshot.snapshotId)
      fs.mkdir(`${folder}.tmp`)
      writeNewFile(fs, join(`${folder}.tmp`, 'snapshot.cbor'), bytes, 0o444)
      if (signature !== undefined) writeNewFile(fs, join(`${folder}.tmp`, 'snapshot.sig'), signature, 0o444)
      if (pinBytes !== undefined) writeNewFile(fs, join(`${folder}.tmp`, 'pin'), pinBytes, 0o644)
      fs.fsyncFolder(`${folder}.tmp`)
      fs.rename(`${folder}.tmp`, folder)
      fs.fsyncFolder(store.paths.snapshots)
      access.append(RECORD_TYPES.SNAPSHOT_ANCHOR, encodeSnapshotAnchor({ snapshotId: snapshot.snapshotId, rootHash }))
      return infoOf(store, { snapshotId: snapshot.snapshotId, rootHash, logseq: snapshot.logPrefix + 1 })
    }),
  )
}

function describeState(store: DiskStore, references: Omit<SnapshotOptions, 'pin' | 'sign'>): Snapshot {
  const { log, config } = store
  const newest = newestSnapshot(log)
  return {
    domainId: config.domainId,
    snapshotId: nextSnapshotId(log),
    logPrefix: log.position.logseq,
    logHash: log.position.hash.toString('hex') as Sha256,
    segments: log.segments.map(({ segmentId, segmentHash }) => [segmentId, segmentHash] as const),
    blocks: blocksInUse(store),
    ...(newest === undefined ? {} : { previous: { snapshotId: newest.snapshotId, rootHash: newest.rootHash } }),
    ...references,
  }
}

/** Ascending; blocks that gc has removed are no part of a later state. */
function blocksInUse(store: DiskStore): Sha256[] {
  const blocks = new Set<string>()
  for (const segment of store.index.segments) for (const blockId of segment.blockIds()) blocks.add(blockId)
  return [...blocks].filter(id => !isCollected(store, id)).sort() as Sha256[]
}

function isCollected(store: DiskStore, blockId: string): boolean {
  return store.log.collectedBlocks.has(blockId) && store.blocks.tryOpen(blockId) === undefined
}

/** Those that are there, oldest first. */
export function listSnapshots(store: DiskStore): SnapshotInfo[] {
  return guarded(`Cannot list the snapshots of "${store.location}"`, () =>
    presentSnapshots(store.log).map(anchored => infoOf(store, anchored)),
  )
}

export function presentSnapshots(log: LogState): AnchoredSnapshot[] {
  return [...log.snapshots.values()]
    .filter(({ snapshotId }) => !log.removedSnapshots.has(snapshotId))
    .sort((a, b) => a.snapshotId - b.snapshotId)
}

/** @throws AslError SNAPSHOT_NOT_FOUND; SNAPSHOT_INVALID when its file is not what the log anchors */
export function readSnapshot(store: DiskStore, snapshotId: number): Snapshot {
  const anchored = requireSnapshot(store, snapshotId)
  const path = join(snapshotPath(store.paths, snapshotId), 'snapshot.cbor')
  return guarded(`Cannot read snapshot ${snapshotId} of "${store.location}"`, () => {
    if (store.fs.stat(path) === undefined)
      throw new AslError('SNAPSHOT_INVALID', `Snapshot ${snapshotId} has lost ${path}`)
    const bytes = readWholeFile(store.fs, path, 1024 ** 3)
    const found = sha256(bytes)
    if (found !== anchored.rootHash) {
      throw new AslError('SNAPSHOT_INVALID', `${path} has sha256 ${found}, the log says ${anchored.rootHash}`)
    }
    return SNAPSHOT.decode(bytes)
  })
}

/** Keeps a snapshot from retention, and what it holds from gc. */
export function pinSnapshot(store: DiskStore, snapshotId: number, reason: string): void {
  changePin(store, snapshotId, path => {
    const { fs } = store.requireWriting()
    fs.unlink(`${path}.tmp`)
    writeNewFile(fs, `${path}.tmp`, pinLine(reason), 0o644)
    fs.rename(`${path}.tmp`, path)
  })
}

export function unpinSnapshot(store: DiskStore, snapshotId: number): void {
  changePin(store, snapshotId, path => store.requireWriting().fs.unlink(path))
}

function changePin(store: DiskStore, snapshotId: number, change: (path: string) => void): void {
  const access = store.requireWriting()
  guarded(`Cannot change the pin of snapshot ${snapshotId} of "${store.location}"`, () =>
    access.alone(() => {
      requireSnapshot(store, snapshotId)
      const folder = snapshotPath(store.paths, snapshotId)
      change(join(folder, 'pin'))
      access.fs.fsyncFolder(folder)
    }),
  )
}

/**
 * Removes a snapshot's folder; its log records stay. The log says so first, so that a lost folder is never mistaken for
 * a removed one.
 * @throws AslError SNAPSHOT_NOT_FOUND; REQUEST_INVALID for a pinned one or the newest
 */
export function removeSnapshot(store: DiskStore, snapshotId: number): void {
  const access = store.requireWriting()
  guarded(`Cannot remove snapshot ${snapshotId} of "${store.location}"`, () =>
    access.alone(() => {
      const info = infoOf(store, requireSnapshot(store, snapshotId))
      if (info.pin !== undefined) {
        throw new AslError('REQUEST_INVALID', `Snapshot ${snapshotId} is pinned: ${info.pin}`, {
          hint: 'Unpin it first.',
        })
      }
      if (newestSnapshot(store.log)?.snapshotId === snapshotId) {
        throw new AslError('REQUEST_INVALID', `Snapshot ${snapshotId} is the newest, which is never removed`)
      }
      access.append(RECORD_TYPES.SNAPSHOT_REMOVED, encodeSnapshotRemoved(snapshotId))
      removeFolder(access.fs, snapshotPath(store.paths, snapshotId))
      access.fs.fsyncFolder(store.paths.snapshots)
    }),
  )
}

/** Removes what is older than `retentionMs`, neither pinned nor the newest. Returns the ids. */
export function expireSnapshots(store: DiskStore, retentionMs: number, nowMs: number): number[] {
  const newest = newestSnapshot(store.log)?.snapshotId
  const expired = listSnapshots(store).filter(({ snapshotId, pin }) => {
    const stat = store.fs.stat(join(snapshotPath(store.paths, snapshotId), 'snapshot.cbor'))
    return pin === undefined && snapshotId !== newest && stat !== undefined && nowMs - stat.mtimeMs > retentionMs
  })
  for (const { snapshotId } of expired) removeSnapshot(store, snapshotId)
  return expired.map(({ snapshotId }) => snapshotId)
}

export function requireSnapshot(store: DiskStore, snapshotId: number): AnchoredSnapshot {
  const found = store.log.snapshots.get(snapshotId)
  if (found !== undefined && !store.log.removedSnapshots.has(snapshotId)) return found
  const isRemoved = found !== undefined
  throw new AslError(
    'SNAPSHOT_NOT_FOUND',
    `Store "${store.location}" has no snapshot ${snapshotId}${isRemoved ? ' any more' : ''}`,
  )
}

function infoOf(store: DiskStore, anchored: AnchoredSnapshot): SnapshotInfo {
  const { snapshotId, rootHash, logseq } = anchored
  const path = join(snapshotPath(store.paths, snapshotId), 'pin')
  const isPinned = store.fs.stat(path) !== undefined
  const pin = isPinned
    ? readWholeFile(store.fs, path, 64 * 1024)
        .toString('utf8')
        .trimEnd()
    : undefined
  return { snapshotId, rootHash, logPrefix: logseq - 1, ...(pin === undefined ? {} : { pin }) }
}

function pinLine(reason: string): Buffer {
  const line = reason.trim()
  if (line === '' || /[\p{Cc}]/u.test(line)) {
    throw new AslError('REQUEST_INVALID', 'A pin wants one line that says why the snapshot is kept')
  }
  return Buffer.from(`${line}\n`)
}
