import { existsSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { AslError, isReference, KINDS, type Reference, type Sha256, sha256Stream, TAG_RECEIPT } from '../core/mod.ts'
import { type ArchiveReaders, archiveReaders, cachedArchives, describedBuild, openHistory } from '../lineage/mod.ts'
import { loadReceipt, openStore, type StoreReader } from '../store/mod.ts'
import { openFileSource } from '../sys/mod.ts'
import { storePathOf } from './store-path.ts'
import type { Context, VerbInput } from './verb.ts'

/** What a question about lineage is asked of: a tree, and the store that holds its history. */
export interface LineageSource {
  readonly store: StoreReader
  readonly readers: ArchiveReaders
  readonly tree: Reference
  /** The receipt that was named, when one was. */
  readonly receipt?: Reference
  readonly image?: { readonly name: string; readonly sha256?: Sha256 }
  /** As the user gave it. */
  readonly name: string
}

/** For the help of every verb that takes one. */
export const SOURCE_ARG_SUMMARY = 'an image, a reference in --store, the folder of a store, or / for this host'

/**
 * An image or a folder tells its root tree by its history; a reference is a tree, or a receipt with one output tree.
 * The digest of an image is worked out on request only: reading it takes longer than most questions.
 * @throws AslError PATH_NOT_FOUND, HISTORY_INVALID, STORE_NOT_FOUND, FORMAT_INVALID, USAGE
 */
export function openLineageSource(
  context: Context,
  input: VerbInput,
  name: string,
  options: { readonly hasDigest?: boolean } = {},
): LineageSource {
  const cache = archiveCacheOf(context, input)
  if (isReference(name)) {
    const store = openStore(storePathOf(context, input))
    return { store, name, readers: readersOf(store, cache), ...treeOfReference(store, name) }
  }
  const path = resolve(context.cwd, name)
  const store = openHistory(path)
  const digest = options.hasDigest === true ? () => ({ sha256: sha256OfFile(path) }) : () => ({})
  return {
    store,
    name,
    readers: readersOf(store, cache),
    tree: describedBuild(store).rootTree,
    ...(statSync(path).isFile() ? { image: { name: basename(path), ...digest() } } : {}),
  }
}

function treeOfReference(store: StoreReader, ref: Reference): { tree: Reference; receipt?: Reference } {
  const stat = store.tryStat(ref)
  if (stat === undefined) throw new AslError('STORE_NOT_FOUND', `No artifact ${ref} in ${store.location}`)
  if (stat.typeTag === KINDS['asl.tree']) return { tree: ref }
  if (stat.typeTag !== TAG_RECEIPT) throw new AslError('USAGE', `${ref} is neither a tree nor a receipt`)
  const { outputs } = loadReceipt(store, ref)
  const trees = outputs.entries.filter(entry => entry.role === 'tree')
  const [only] = trees
  if (only === undefined || trees.length > 1) {
    throw new AslError('USAGE', `Receipt ${ref} has ${trees.length} output trees, not one`, {
      hint: trees.length === 0 ? 'Give a tree.' : `Give one of ${trees.map(entry => entry.ref).join(', ')}`,
    })
  }
  return { tree: only.ref, receipt: ref }
}

/** What packages hold is remembered beside the builder's store; without one, nothing is. */
function archiveCacheOf(context: Context, input: VerbInput): string | undefined {
  const store = storePathOf(context, input)
  return existsSync(join(store, 'meta')) ? join(store, 'cache', 'archives') : undefined
}

function readersOf(store: StoreReader, cache: string | undefined): ArchiveReaders {
  return cachedArchives(archiveReaders(store), cache)
}

const CHUNK_BYTES = 1 << 20

function sha256OfFile(path: string): Sha256 {
  const source = openFileSource(path)
  try {
    const state = sha256Stream()
    for (let at = 0; at < source.sizeBytes; at += CHUNK_BYTES) {
      state.update(source.read(at, Math.min(CHUNK_BYTES, source.sizeBytes - at)))
    }
    return state.digest()
  } finally {
    source.close()
  }
}
