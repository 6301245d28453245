import { cpSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AslError, type Reference } from '../core/mod.ts'
import { deterministicReceipts, type PackedImageStore, packImageStore, type Store } from '../store/mod.ts'
import { type HistoryProfile, historySet } from './history.ts'

/** Where the personal store of a host lies, below its root (reference §8.5). */
export const PERSONAL_FOLDER = 'var/lib/asl/personal'

/** The folders for people that go along: receipts and captured programs. Runs never do. */
const SEEDED_VIEWS = ['binaries', 'scripts', 'per'] as const

export interface SeedOptions {
  /** The folder that its user calls the store. */
  readonly storeFolder: string
  /** Root of the image to be. */
  readonly into: string
  readonly profile: HistoryProfile
  readonly domainId: string
  /** SOURCE_DATE_EPOCH in whole seconds. */
  readonly epoch: number
}

export interface Seeded extends PackedImageStore {
  readonly folder: string
  readonly receiptCount: number
  /** Contents that the store does not have, listed as left out. */
  readonly missing: readonly Reference[]
}

/**
 * Puts the history of a store of captures into a root folder: every deterministic receipt with what it names, packed
 * anew, and the folders for people beside it. Run halves, logs and what only they name stay behind.
 * @throws AslError RECEIPT_NOT_FOUND when the store holds no receipt; STORE_EXISTS when the root is seeded already
 */
export function seedRoot(store: Store, options: SeedOptions): Seeded {
  const folder = join(options.into, PERSONAL_FOLDER)
  const storePath = join(folder, '.asl')
  if (existsSync(storePath)) throw new AslError('STORE_EXISTS', `${folder} holds a store already`)
  const receipts = [...deterministicReceipts(store)].map(receipt => receipt.ref)
  if (receipts.length === 0) {
    throw new AslError('RECEIPT_NOT_FOUND', `Store "${options.storeFolder}" holds no receipt to seed with`, {
      hint: "'asl-capture --store DIR' makes receipts.",
    })
  }
  const { present, absent } = historySet(store, receipts, options.profile, [])
  const missing = [...present].filter(ref => !store.has(ref))
  const there = [...present].filter(ref => store.has(ref))
  mkdirSync(folder, { recursive: true })
  for (const view of SEEDED_VIEWS) {
    const from = join(options.storeFolder, view)
    if (existsSync(from)) cpSync(from, join(folder, view), { recursive: true, verbatimSymlinks: true })
  }
  const packed = packImageStore(store, there, [...absent, ...missing], storePath, {
    domainId: options.domainId,
    epoch: options.epoch,
  })
  return { ...packed, folder, receiptCount: receipts.length, missing }
}
