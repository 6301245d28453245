import { join } from 'node:path'
import { type Builtin, builtinTable } from '../capture/mod.ts'
import {
  decodeJson,
  encodeJson,
  entryRef,
  type InputEntry,
  type OutputEntry,
  parseDomainId,
  type Reference,
  TREE,
} from '../core/mod.ts'
import { DESCRIBE_BUILD } from '../lineage/mod.ts'
import { ingestTree, openDraft, packImageStore, type StoreReader } from '../store/mod.ts'
import { openArchive } from './debian/archive.ts'
import { openKeyring } from './debian/release-signature.ts'
import { fetchPackages, stage0Packages } from './debian/stage0.ts'
import { UNPACK_DEBS, unpackDebs } from './debian/unpack.ts'
import { type HistoryProfile, historySet } from './history.ts'
import { normaliseRoot } from './normalise.ts'
import { entryAt } from './project-tree.ts'
import { archiveSources } from './steps/debian-tree.ts'
import { mergeTree } from './tree-merge.ts'

/** `root` with each tree of role `overlay` put over it, in the order of their names. */
const overlay: Builtin = {
  name: 'op:overlay',
  async run({ store, openWriter, input, inputs }) {
    const root = openDraft(store, input('root').ref)
    for (const entry of inputs.filter(candidate => candidate.role === 'overlay')) mergeTree(store, root, entry.ref)
    return [tree('root', root.put(openWriter()))]
  },
}

interface NormaliseParameters {
  readonly hostname: string
  readonly image_id: string
  readonly image_version: string
}

/** `root` without what installations leave to chance, with the identity of the recipe. */
const normalise: Builtin = {
  name: 'op:normalise',
  async run({ store, openWriter, input, environment }) {
    const parameters = readParameters<NormaliseParameters>(store, input('parameters'))
    const root = openDraft(store, input('root').ref)
    normaliseRoot(store, openWriter(), root, {
      hostname: parameters.hostname,
      imageId: parameters.image_id,
      imageVersion: parameters.image_version,
      epoch: environment.sourceDateEpoch,
    })
    return [tree('root', root.put(openWriter()))]
  },
}

/** Names what a build was made of, so that a history has one place to start from: docs/spec/history.md. */
const describeBuild: Builtin = {
  name: DESCRIBE_BUILD,
  async run({ openWriter, inputs, store, input }) {
    const refs = (isReceipt: boolean): [string, Reference][] =>
      inputs.filter(entry => (entry.role === 'receipt') === isReceipt).map(entry => [entry.name, entry.ref])
    const bytes = encodeJson({
      schema: 1,
      inputs: Object.fromEntries(refs(false)),
      receipts: refs(true).map(([, ref]) => ref),
      root_hash: store.read(input('root.hash').ref).toString('utf8'),
      root_tree: input('root').ref,
    })
    return [{ name: 'build.json', role: 'manifest', ref: openWriter().put(bytes), size: bytes.length }]
  },
}

interface HistoryParameters {
  readonly domain: string
  readonly profile: HistoryProfile
}

/** The closure of the receipts so far as a sealed store: output `history`, and the raw hash of its snapshot. */
const history: Builtin = {
  name: 'op:history',
  async run({ store, openWriter, inputs, input, scratch, environment }) {
    const epoch = environment.sourceDateEpoch
    const { domain, profile } = readParameters<HistoryParameters>(store, input('parameters'))
    const receipts = inputs.filter(entry => entry.role === 'receipt').map(entry => entry.ref)
    const { present, absent } = historySet(store, receipts, profile, packageDatabase(store, input('root').ref))
    const folder = join(scratch, 'history')
    const { rootHash } = packImageStore(store, present, absent, folder, {
      domainId: parseDomainId(domain),
      epoch,
    })
    const hash = Buffer.from(rootHash)
    return [
      tree('history', ingestTree(openWriter(), folder, { mtime: 'clamp', epoch }).reference),
      { name: 'snapshot-hash', role: 'file', ref: openWriter().put(hash), size: hash.length },
    ]
  },
}

/** What dpkg knows about the root: so that a history names the package of a file without opening every package. */
function* packageDatabase(store: StoreReader, root: Reference): Iterable<Reference> {
  const folders = [entryRef(entryAt(store, root, 'var/lib/dpkg'))]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of TREE.decode(store.read(folder)).entries) {
      if (entry.type === 'd') folders.push(entryRef(entry))
      else if (entry.ref !== undefined) yield entry.ref
    }
  }
}

interface UnpackParameters {
  readonly suites: readonly string[]
  readonly components: readonly string[]
}

/** The first tree: packages that the archive's own signature vouches for, unpacked by this process. */
const unpackStage0: Builtin = {
  name: UNPACK_DEBS,
  async run({ store, openWriter, input, environment, scratch, fetch, progress }) {
    const parameters = readParameters<UnpackParameters>(store, input('parameters'))
    const armored = store.read(input('keyring.asc').ref).toString('utf8')
    const archive = await openArchive({
      fetch,
      sources: archiveSources(parameters.suites, parameters.components),
      architecture: environment.arch,
      keyring: await openKeyring([armored]),
      nowSeconds: environment.sourceDateEpoch,
    })
    const debs = await fetchPackages(archive, stage0Packages(archive), {
      onFetched: (_, itemsDone, itemsTotal) => progress?.({ itemsDone, itemsTotal }),
    })
    const root = await unpackDebs(debs, { store, writer: openWriter(), scratchFolder: scratch })
    return [tree('root', root)]
  },
}

function readParameters<T>(store: StoreReader, entry: InputEntry): T {
  return decodeJson(store.read(entry.ref)) as T
}

function tree(name: string, ref: Reference): OutputEntry {
  return { name, role: 'tree', ref }
}

export const IMAGE_BUILTINS = builtinTable(unpackStage0, overlay, normalise, describeBuild, history)
