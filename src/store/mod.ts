/**
 * Store: artifacts on disk. Sealed blocks, index segments, a hash-chained log, snapshots; check and collect.
 * Implements docs/spec/store.md.
 *
 * The log is the truth. What is read back is verified; what fails verification is never returned, and is named.
 */
export * from './interface.ts'
export { memoryStore } from './memory-store.ts'
export * from './receipts.ts'
