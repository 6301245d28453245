/**
 * Store: artifacts on disk. Sealed blocks, index segments, a hash-chained log, snapshots; check and collect.
 * Implements docs/spec/store.md and docs/spec/tree.md.
 *
 * The log is the truth. What is read back is verified; what fails verification is never returned, and is named.
 */

export { type CheckOptions, checkStore } from './check/check.ts'
export { recordDamage } from './check/record-damage.ts'
export type { CheckReport, Finding, FindingCode } from './check/report.ts'
export { diskFs } from './disk-fs.ts'
export { DiskStore, type OpenOptions } from './disk-store.ts'
export type { FileStat, ReadFs, StoreFs, WriterLock } from './fs.ts'
export { collectGarbage, type GcOptions, type GcReport } from './gc.ts'
export { type ImageStoreOptions, type PackedImageStore, packImageStore } from './image-store.ts'
export * from './interface.ts'
export { type LoggedRecord, listLog } from './log-list.ts'
export type { TombstoneReason } from './log-payloads.ts'
export { memoryStore } from './memory-store.ts'
export { type InitOptions, initStore, openReader, openStore } from './open-store.ts'
export { type ReachedArtifact, reachableFrom, referencesIn } from './reachable.ts'
export * from './receipts.ts'
export { type ReindexOptions, type ReindexReport, reindexStore } from './reindex.ts'
export { SNAPSHOT, type Snapshot } from './snapshot-codec.ts'
export {
  expireSnapshots,
  listSnapshots,
  pinSnapshot,
  readSnapshot,
  removeSnapshot,
  type SnapshotInfo,
  type SnapshotOptions,
  takeSnapshot,
  unpinSnapshot,
} from './snapshots.ts'
export { liftTombstone, tombstone } from './tombstones.ts'
export { type CheckedOut, type CheckoutOptions, checkoutTree } from './tree/checkout.ts'
export { diffTrees, type TreeChange } from './tree/diff.ts'
export { type DraftFolder, emptyDraft, openDraft } from './tree/draft.ts'
export {
  type EntryIngest,
  type Ingested,
  type IngestOptions,
  ingestTree,
  inPathOrder,
  isPortableXattr,
  openEntryIngest,
} from './tree/ingest.ts'
export { joinPath, showPath, splitPath } from './tree/path.ts'
export { readTree, resolveFile, resolvePath, type WalkedEntry, walkTree } from './tree/walk.ts'
