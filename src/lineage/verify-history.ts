import { AslError, decodeJson, decodeReceipt, isAslError, type Reference, TAG_RECEIPT } from '../core/mod.ts'
import { deterministicReceipts, type LoadedReceipt, loadReceipt, type StoreReader } from '../store/mod.ts'
import { DESCRIBE_BUILD } from './build-description.ts'

/** What a history is asked to prove. */
export interface HistoryClaims {
  /** Raw hash of its snapshot, as the kernel command line has it. */
  readonly snapshotHash?: string
  /** dm-verity root hash of the file system that is running. */
  readonly rootHash?: string
}

export interface VerifiedHistory {
  readonly artifactCount: number
  readonly receiptCount: number
  readonly contentBytes: number
  readonly rootTree: Reference
}

export interface VerifyHistoryOptions {
  readonly claims: HistoryClaims
  /** Raw hash of the newest snapshot of the store. */
  readonly snapshotHash: string | undefined
  readonly progress?: (artifacts: number, bytes: number) => void
}

/**
 * Reads every artifact of a history and derives its reference again; decodes every receipt and asks that all it names
 * is here or declared absent; then holds the root against the one that is running.
 * @throws AslError HISTORY_INVALID that names every artifact that does not hold
 */
export function verifyHistory(store: StoreReader, options: VerifyHistoryOptions): VerifiedHistory {
  const damaged: string[] = []
  let artifactCount = 0
  let contentBytes = 0
  for (const ref of store.references()) {
    try {
      for (const chunk of store.chunks(ref)) contentBytes += chunk.length
    } catch (error) {
      if (!isAslError(error)) throw error
      damaged.push(`artifact ${ref}: ${error.message}`)
    }
    artifactCount++
    options.progress?.(artifactCount, contentBytes)
  }
  if (damaged.length > 0) throw invalid(damaged)
  const { claims, snapshotHash } = options
  if (claims.snapshotHash !== undefined && claims.snapshotHash !== snapshotHash) {
    throw invalid([`the snapshot has hash ${snapshotHash ?? 'none'}, the command line names ${claims.snapshotHash}`])
  }
  const receipts = [...deterministicReceipts(store)]
  const missing = receipts.flatMap(receipt => missingOf(store, receipt))
  if (missing.length > 0) throw invalid(missing)
  const description = describedBuild(store)
  if (claims.rootHash !== undefined && claims.rootHash !== description.rootHash) {
    throw invalid([
      `the root that is running has dm-verity hash ${claims.rootHash}, the history describes ${description.rootHash}`,
    ])
  }
  return { artifactCount, receiptCount: receipts.length, contentBytes, rootTree: description.rootTree }
}

/** What a history says that it is the history of. */
export interface BuildDescription {
  /** The receipt of the description itself. */
  readonly receipt: LoadedReceipt
  readonly rootTree: Reference
  readonly rootHash: string
  /** Deterministic receipts of the build, in the order in which its steps ran. */
  readonly receipts: readonly Reference[]
  /** What the build was made from, by name: `recipe.yaml`, `archive.json`, `project`, … */
  readonly inputs: Readonly<Record<string, Reference>>
}

/** @throws AslError HISTORY_INVALID when the store holds no description of a build, or more than one */
export function describedBuild(store: StoreReader): BuildDescription {
  const found: LoadedReceipt[] = []
  for (const ref of store.references(TAG_RECEIPT)) {
    if (decodeReceipt(store.read(ref)).run !== undefined) continue
    const receipt = loadReceipt(store, ref)
    if (receipt.command.builtin === DESCRIBE_BUILD) found.push(receipt)
  }
  const [receipt, second] = found
  if (receipt === undefined) throw invalid(['it holds no description of a build'])
  if (second !== undefined) throw invalid([`it describes ${found.length} builds`])
  const entry = receipt.outputs.entries.find(output => output.name === 'build.json')
  if (entry === undefined) throw invalid([`receipt ${receipt.ref} has no output build.json`])
  const description = decodeJson(store.read(entry.ref)) as {
    readonly inputs: Record<string, Reference>
    readonly receipts: Reference[]
    readonly root_hash: string
    readonly root_tree: Reference
  }
  return {
    receipt,
    rootTree: description.root_tree,
    rootHash: description.root_hash,
    receipts: description.receipts,
    inputs: description.inputs,
  }
}

/** Everything a receipt names must be here, or be left out on purpose. */
function missingOf(store: StoreReader, receipt: LoadedReceipt): string[] {
  const named = [...receipt.inputs.entries, ...receipt.outputs.entries].map(entry => entry.ref)
  return named
    .filter(ref => !store.has(ref) && !store.isDeclaredAbsent(ref))
    .map(ref => `receipt ${receipt.ref} names ${ref}, which is not here`)
}

function invalid(findings: readonly string[]): AslError {
  const [first = 'it is empty', ...more] = findings
  return new AslError('HISTORY_INVALID', `The history does not hold: ${first}`, {
    ...(more.length === 0 ? {} : { hint: more.slice(0, 20).join('\n  ') }),
    details: { findings },
  })
}
