import { AslError, messageOf, type Reference, type Sha256 } from '../core/mod.ts'
import { parseDebianRelease } from '../formats/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { ArchiveReaders, IndexedPackage, Keyring, NamedArtifact, ReleaseSignature } from './archive.ts'
import { bytePathOf, joinPath, showPath } from './byte-path.ts'
import type { Graph, GraphStep } from './graph.ts'
import type { PlainDigests } from './plain-digests.ts'
import { isNamed, type NamedInput } from './step-sources.ts'
import type { TreeReader } from './tree-reader.ts'

/** What vouches for a package: a list that names its digest, a signed release that names the list's, the key. */
export interface ListedPackage {
  readonly entry: IndexedPackage
  readonly index: NamedArtifact & { readonly sha256: Sha256; readonly pathInRelease: string }
  readonly release: NamedArtifact & { readonly suite: string; readonly date: number }
  readonly signature: ReleaseSignature & { readonly keyringFrom?: KeyringPlace }
}

/** Who gave us the key: an input of a step, the tree that the step ran in, or only the tree it made. */
export type KeyringPlace = 'input' | 'root tree' | 'output tree'

export interface ReleaseChains {
  /** What lists an input of a step: the lists among its inputs come first, then those of any other step. */
  listing(step: GraphStep, input: NamedInput): Promise<ListedPackage | undefined>
  findings(): readonly string[]
}

export function releaseChains(
  store: StoreReader,
  graph: Graph,
  trees: TreeReader,
  readers: ArchiveReaders,
  digestOf: PlainDigests,
): ReleaseChains {
  const findings = new Set<string>()
  let keyrings: readonly Keyring[] | undefined
  const world: World = {
    store,
    trees,
    readers,
    digestOf,
    findings,
    sourceKeyrings: () => (keyrings ??= sourceKeyrings(store, graph, trees)),
  }
  const lists = new Map<Reference, Promise<ReadonlyMap<string, ListedPackage>>>()
  const listsOf = (step: GraphStep): Promise<ReadonlyMap<string, ListedPackage>> => {
    const reading = lists.get(step.ref) ?? readLists(world, step)
    lists.set(step.ref, reading)
    return reading
  }
  const withReleases = [...graph.steps.values()].filter(step => step.inputs.some(isRelease))
  return {
    findings: () => [...findings].sort(),
    async listing(step, input) {
      const sha256 = digestOf(input.ref)
      for (const candidate of [step, ...withReleases.filter(other => other !== step)]) {
        const listed = (await listsOf(candidate)).get(sha256)
        if (listed !== undefined) return listed
      }
      return undefined
    },
  }
}

interface World {
  readonly store: StoreReader
  readonly trees: TreeReader
  readonly readers: ArchiveReaders
  readonly digestOf: PlainDigests
  readonly findings: Set<string>
  readonly sourceKeyrings: () => readonly Keyring[]
}

/** Larger than any known: trixie's own has 150 KB, its Packages files 60 MB. */
const MAX_RELEASE_BYTES = 16 * 1024 * 1024
const MAX_KEYRING_BYTES = 4 * 1024 * 1024
/** A checkout holds a few; a hostile tree may be full of them. */
const MAX_SOURCE_KEYRINGS = 64

/** Everything that the signed releases among a step's inputs vouch for, of what the step had: by digest of the package. */
async function readLists(world: World, step: GraphStep): Promise<ReadonlyMap<string, ListedPackage>> {
  const { store, readers, digestOf, findings } = world
  const listed = new Map<string, ListedPackage>()
  const inputs = step.inputs.filter(isNamed).filter(input => store.has(input.ref))
  const wanted = new Set<string>(inputs.filter(isPackage).map(input => digestOf(input.ref)))
  const others = inputs.filter(input => input.role === 'download' && !isPackage(input) && !isRelease(input))
  for (const input of inputs.filter(isRelease)) {
    await orFinding(input.name, findings, async () => {
      const { text, signature } = await checkSignature(world, step, store.read(input.ref, MAX_RELEASE_BYTES))
      const { codename, suite, date, files } = parseDebianRelease(text, input.name)
      const release = { ref: input.ref, name: input.name, suite: codename ?? suite ?? '', date }
      const paths = new Map(
        [...files].filter(([path]) => PACKAGES.test(path)).map(([path, file]) => [file.sha256, path]),
      )
      for (const { ref, name } of others) {
        const sha256 = digestOf(ref)
        const pathInRelease = paths.get(sha256)
        if (pathInRelease === undefined) continue
        const index = { ref, name, sha256, pathInRelease }
        await orFinding(name, findings, async () => {
          for await (const entry of readers.packagesIndex(index)) {
            const known = listed.get(entry.sha256)
            if (!wanted.has(entry.sha256) || isAsGood(known, signature.isVerified)) continue
            listed.set(entry.sha256, { entry, index, release, signature })
          }
        })
      }
    })
  }
  return listed
}

/** What a verified release lists is not replaced, and an unverified one replaces nothing. */
function isAsGood(known: ListedPackage | undefined, isVerified: boolean): boolean {
  return known !== undefined && (known.signature.isVerified || !isVerified)
}

const PACKAGES = /(^|\/)Packages(\.[a-z0-9]+)?$/

/** A list that cannot be read vouches for nothing, and is named. */
async function orFinding(name: string, findings: Set<string>, read: () => Promise<void>): Promise<void> {
  try {
    await read()
  } catch (error) {
    if (!(error instanceof AslError) || error.code === 'STORE_IO') throw error
    findings.add(`${name}: ${messageOf(error)}`)
  }
}

interface CheckedRelease {
  readonly text: string
  readonly signature: ListedPackage['signature']
}

async function checkSignature(world: World, step: GraphStep, bytes: Buffer): Promise<CheckedRelease> {
  let last = await world.readers.verifyRelease(bytes, [])
  for (const [keyringFrom, keyrings] of keyringsOf(world, step)) {
    if (keyrings.length === 0) continue
    last = await world.readers.verifyRelease(bytes, keyrings)
    if (last.signature.isVerified) return { text: last.text, signature: { ...last.signature, keyringFrom } }
  }
  return last
}

/**
 * Where apt looks (apt-secure(8)), and where Debian's keyring package puts its own. That package also ships the keys it
 * no longer trusts, as `debian-archive-removed-keys`.
 */
const KEYRING_FOLDERS = ['/usr/share/keyrings', '/etc/apt/keyrings', '/etc/apt/trusted.gpg.d'].map(bytePathOf)
const KEYRING_NAME = /^(?!.*removed-keys).*\.(gpg|pgp|asc)$/

/** Most independent first: a keyring that came with the packages it vouches for proves the least. */
function* keyringsOf(world: World, step: GraphStep): Iterable<[KeyringPlace, readonly Keyring[]]> {
  yield ['input', [...inputKeyrings(world, step), ...world.sourceKeyrings()]]
  const root = step.details?.environment.rootRef
  const before = step.inputs.filter(input => input.role === 'tree').map(input => input.ref)
  yield ['root tree', [...(root === undefined ? [] : [root]), ...before].flatMap(tree => keyringsIn(world, tree))]
  const made = step.outputs.filter(output => output.role === 'tree').map(output => output.ref)
  yield ['output tree', made.flatMap(tree => keyringsIn(world, tree))]
}

function inputKeyrings({ store }: World, step: GraphStep): readonly Keyring[] {
  return step.inputs
    .filter(isNamed)
    .filter(input => KEYRING_NAME.test(input.name) && input.role !== 'download' && store.has(input.ref))
    .map(input => ({ path: input.name, bytes: store.read(input.ref, MAX_KEYRING_BYTES) }))
}

/** Keyrings in trees that no step made: those of the checkout that the image was built from. */
function sourceKeyrings(store: StoreReader, graph: Graph, trees: TreeReader): readonly Keyring[] {
  const sources = new Map<Reference, string>()
  for (const { inputs } of graph.steps.values()) {
    for (const { ref, role, name = '' } of inputs) {
      if (role === 'tree' && graph.producersOf(ref).length === 0 && store.has(ref)) sources.set(ref, name)
    }
  }
  const found = new Map<Reference, Keyring>()
  for (const [tree, name] of sources) {
    for (const { path, entry } of trees.walk(tree)) {
      const ref = KEYRING_NAME.test(path) ? trees.contentOf(tree, entry) : undefined
      if (ref === undefined || found.has(ref) || !store.has(ref)) continue
      if (found.size === MAX_SOURCE_KEYRINGS) return [...found.values()]
      found.set(ref, { path: `${name}${showPath(path)}`, bytes: store.read(ref, MAX_KEYRING_BYTES) })
    }
  }
  return [...found.values()]
}

function keyringsIn({ store, trees }: World, tree: Reference): Keyring[] {
  if (!store.has(tree)) return []
  return KEYRING_FOLDERS.flatMap(folder =>
    [...trees.entriesOf(tree, folder)].flatMap(entry => {
      const name = entry.name.toString('latin1')
      const ref = KEYRING_NAME.test(name) ? trees.contentOf(tree, entry) : undefined
      if (ref === undefined || !store.has(ref)) return []
      return [{ path: showPath(joinPath(folder, name)), bytes: store.read(ref, MAX_KEYRING_BYTES) }]
    }),
  )
}

function isPackage(input: { readonly name?: string }): boolean {
  return input.name?.endsWith('.deb') === true
}

function isRelease(input: { readonly name?: string }): boolean {
  return input.name !== undefined && /(^|\/)InRelease$/.test(input.name)
}
