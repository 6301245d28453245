import { join } from 'node:path'
import { messageOf, sha256 } from '../../core/mod.ts'
import { type ReadFs, readWholeFile } from '../fs.ts'
import { parseSnapshotName, type StorePaths, snapshotPath } from '../layout.ts'
import { SNAPSHOT, type Snapshot } from '../snapshot-codec.ts'
import type { WalkedLog } from './log-walk.ts'
import type { Findings } from './report.ts'

/** Every anchored snapshot that retention has not removed is there, and says what the log says. Returns their number. */
export function walkSnapshots(
  fs: ReadFs,
  paths: StorePaths,
  log: WalkedLog,
  domainId: string | undefined,
  isBlockKnown: (blockId: string) => boolean,
  findings: Findings,
): number {
  let previous: WalkedLog['snapshots'][number] | undefined
  let count = 0
  for (const anchored of log.snapshots) {
    const path = join(snapshotPath(paths, anchored.id), 'snapshot.cbor')
    const before = previous
    previous = anchored
    if (log.removedSnapshots.has(anchored.id)) continue
    count++
    if (fs.stat(path) === undefined) {
      findings.add('SNAPSHOT_INVALID', path, `the log anchors snapshot ${anchored.id} in record ${anchored.logseq}`)
      continue
    }
    const bytes = readWholeFile(fs, path, 1024 ** 3)
    const found = sha256(bytes)
    if (found !== anchored.rootHash) {
      findings.add('SNAPSHOT_INVALID', path, `sha256 is ${found}, the log says ${anchored.rootHash}`)
      continue
    }
    try {
      const problem = compareSnapshot(SNAPSHOT.decode(bytes), anchored, before, log, domainId, isBlockKnown)
      if (problem !== undefined) findings.add('SNAPSHOT_INVALID', path, problem)
    } catch (error) {
      findings.add('SNAPSHOT_INVALID', path, messageOf(error))
    }
  }
  const known = new Set(log.snapshots.filter(({ id }) => !log.removedSnapshots.has(id)).map(({ id }) => id))
  for (const name of fs.readdir(paths.snapshots)) {
    const id = parseSnapshotName(name)
    if (id === undefined || !known.has(id)) {
      findings.add('SNAPSHOT_UNNAMED', join(paths.snapshots, name), 'the log anchors no such snapshot')
    }
  }
  return count
}

function compareSnapshot(
  snapshot: Snapshot,
  anchored: WalkedLog['snapshots'][number],
  before: WalkedLog['snapshots'][number] | undefined,
  log: WalkedLog,
  domainId: string | undefined,
  isBlockKnown: (blockId: string) => boolean,
): string | undefined {
  const { snapshotId, logPrefix, logHash, segments, blocks, previous } = snapshot
  if (snapshotId !== anchored.id) return `it calls itself snapshot ${snapshotId}`
  if (domainId !== undefined && snapshot.domainId !== domainId) return `it is of domain ${snapshot.domainId}`
  if (logPrefix !== anchored.logseq - 1) return `log_prefix is ${logPrefix}, its anchor is record ${anchored.logseq}`
  if (log.hashes[logPrefix]?.toString('hex') !== logHash) return `log_hash differs from record ${logPrefix}`
  const sealed = log.segments.filter(segment => segment.logseq <= logPrefix)
  const isSame = sealed.every(({ id, hash }, i) => segments[i]?.[0] === Number(id) && segments[i]?.[1] === hash)
  if (sealed.length !== segments.length || !isSame)
    return 'its segments are not those that the log has sealed until then'
  if (previous?.snapshotId !== before?.id || previous?.rootHash !== before?.rootHash) {
    return 'previous is not the snapshot before it'
  }
  const unknown = blocks.find(blockId => !isBlockKnown(blockId))
  return unknown === undefined ? undefined : `it names block ${unknown}, which no segment refers to`
}
