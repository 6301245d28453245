import { AslError, messageOf, type Reference, type Sha256, sha256Stream } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { ArchiveReaders, IndexedPackage, Keyring, NamedArtifact, ReleaseSignature } from './archive.ts'
import { bytePathOf, joinPath, showPath } from './byte-path.ts'
import { fieldOf } from './dpkg-database.ts'
import type { Graph, GraphStep } from './graph.ts'
import { isNamed, type NamedInput } from './step-sources.ts'
import type { TreeReader } from './tree-reader.ts'

/** What vouches for a package: a list that names its digest, a signed release that names the list's, the key. */
export interface ReleaseChain {
  readonly sha256: Sha256
  readonly listed: ListedPackage | undefined
}

export interface ListedPackage {
  readonly entry: IndexedPackage
  readonly index: NamedArtifact & { readonly sha256: Sha256; readonly pathInRelease: string }
  readonly release: NamedArtifact & { readonly suite: string; readonly date: string }
  readonly signature: ReleaseSignature & { readonly keyringFrom?: KeyringPlace }
}

/** Who gave us the key: an input of the step, the tree it ran in, or only the tree it made. */
export type KeyringPlace = 'input' | 'root tree' | 'output tree'

export interface ReleaseChains {
  /** The chain above an input of a step. Lists of the step itself come first, then those of any other step. */
  of(step: GraphStep, input: NamedInput): Promise<ReleaseChain>
  findings(): readonly string[]
}

export function releaseChains(
  store: StoreReader,
  graph: Graph,
  trees: TreeReader,
  readers: ArchiveReaders,
): ReleaseChains {
  const digests = new Map<Reference, Sha256>()
  const findings = new Set<string>()
  const digestOf = (ref: Reference): Sha256 => {
    const digest = digests.get(ref) ?? sha256Of(store, ref)
    digests.set(ref, digest)
    return digest
  }
  const lists = new Map<Reference, Promise<ReadonlyMap<string, ListedPackage>>>()
  const listsOf = (step: GraphStep): Promise<ReadonlyMap<string, ListedPackage>> => {
    const reading = lists.get(step.ref) ?? readLists({ store, trees, readers, digestOf, findings }, step)
    lists.set(step.ref, reading)
    return reading
  }
  const withReleases = [...graph.steps.values()].filter(step => step.inputs.some(isRelease))
  return {
    findings: () => [...findings].sort(),
    async of(step, input) {
      const sha256 = digestOf(input.ref)
      for (const candidate of [step, ...withReleases.filter(other => other !== step)]) {
        const listed = (await listsOf(candidate)).get(sha256)
        if (listed !== undefined) return { sha256, listed }
      }
      return { sha256, listed: undefined }
    },
  }
}

interface World {
  readonly store: StoreReader
  readonly trees: TreeReader
  readonly readers: ArchiveReaders
  readonly digestOf: (ref: Reference) => Sha256
  readonly findings: Set<string>
}

/** Larger than any known: trixie's own has 150 KB, its Packages files 60 MB. */
const MAX_RELEASE_BYTES = 16 * 1024 * 1024
const MAX_KEYRING_BYTES = 4 * 1024 * 1024

/** Everything that the signed releases among a step's inputs vouch for, of what the step had: by digest of the package. */
async function readLists(world: World, step: GraphStep): Promise<ReadonlyMap<string, ListedPackage>> {
  const { store, readers, digestOf, findings } = world
  const listed = new Map<string, ListedPackage>()
  const inputs = step.inputs.filter(isNamed).filter(input => store.has(input.ref))
  const wanted = new Set(inputs.filter(isPackage).map(input => digestOf(input.ref)))
  const others = inputs.filter(input => input.role === 'download' && !isPackage(input) && !isRelease(input))
  for (const input of inputs.filter(isRelease)) {
    const bytes = store.read(input.ref, MAX_RELEASE_BYTES)
    const release = parseRelease(bytes.toString('utf8'))
    const signature = await checkSignature(world, step, bytes)
    for (const index of others) {
      const pathInRelease = release.packagesBySha256.get(digestOf(index.ref))
      if (pathInRelease === undefined) continue
      try {
        for await (const entry of readers.packagesIndex(index)) {
          if (!wanted.has(entry.sha256 as Sha256) || listed.has(entry.sha256)) continue
          listed.set(entry.sha256, {
            entry,
            index: { ref: index.ref, name: index.name, sha256: digestOf(index.ref), pathInRelease },
            release: { ref: input.ref, name: input.name, suite: release.suite, date: release.date },
            signature,
          })
        }
      } catch (error) {
        if (!(error instanceof AslError) || error.code === 'STORE_IO') throw error
        findings.add(`${index.name}: ${messageOf(error)}`)
      }
    }
  }
  return listed
}

interface Release {
  readonly suite: string
  readonly date: string
  /** Digest of each `Packages` file, compressed or not → its path in the release. */
  readonly packagesBySha256: ReadonlyMap<string, string>
}

/**
 * Reads an `InRelease` or `Release` file (Debian RepositoryFormat). Whether it is genuine the signature says, not this.
 */
export function parseRelease(text: string): Release {
  const packagesBySha256 = new Map<string, string>()
  const section = /^SHA256:[ \t]*\n((?:[ \t].*\n?)*)/m.exec(text)?.[1] ?? ''
  for (const line of section.split('\n')) {
    const [sha256, , path] = line.trim().split(/[ \t]+/)
    if (sha256 === undefined || path === undefined || !/(^|\/)Packages(\.[a-z0-9]+)?$/.test(path)) continue
    packagesBySha256.set(sha256, path)
  }
  const suite = fieldOf(text, 'Codename') ?? fieldOf(text, 'Suite') ?? ''
  return { suite, date: fieldOf(text, 'Date') ?? '', packagesBySha256 }
}

async function checkSignature(world: World, step: GraphStep, bytes: Buffer): Promise<ListedPackage['signature']> {
  let last: ReleaseSignature = { isVerified: false, keyIds: [], reason: 'no keyring was found' }
  for (const [keyringFrom, keyrings] of keyringsOf(world, step)) {
    if (keyrings.length === 0) continue
    last = await world.readers.verifyRelease(bytes, keyrings)
    if (last.isVerified) return { ...last, keyringFrom }
  }
  return last
}

/** Where apt looks (apt-secure(8)), and where Debian's keyring package puts its own. */
const KEYRING_FOLDERS = ['/usr/share/keyrings', '/etc/apt/keyrings', '/etc/apt/trusted.gpg.d'].map(bytePathOf)
const KEYRING_NAME = /\.(gpg|pgp|asc)$/

/** Most independent first: a keyring that came with the packages it vouches for proves the least. */
function* keyringsOf(world: World, step: GraphStep): Iterable<[KeyringPlace, readonly Keyring[]]> {
  const { store } = world
  const files = step.inputs
    .filter(isNamed)
    .filter(input => KEYRING_NAME.test(input.name) && input.role !== 'download' && store.has(input.ref))
  yield ['input', files.map(input => ({ path: input.name, bytes: store.read(input.ref, MAX_KEYRING_BYTES) }))]
  const root = step.details?.environment.rootRef
  const before = step.inputs.filter(input => input.role === 'tree').map(input => input.ref)
  yield ['root tree', [...(root === undefined ? [] : [root]), ...before].flatMap(tree => keyringsIn(world, tree))]
  const made = step.outputs.filter(output => output.role === 'tree').map(output => output.ref)
  yield ['output tree', made.flatMap(tree => keyringsIn(world, tree))]
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

/** Plain digest of an artifact's content, in constant memory. @throws AslError STORE_NOT_FOUND, STORE_INTEGRITY */
export function sha256Of(store: StoreReader, ref: Reference): Sha256 {
  const state = sha256Stream()
  for (const chunk of store.chunks(ref)) state.update(chunk)
  return state.digest()
}
