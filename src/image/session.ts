import { existsSync, mkdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import {
  type KnownResponse,
  keepIn,
  type Mirror,
  openKnownSteps,
  openStepNetwork,
  openTreeCache,
  type RecorderOptions,
  type ResponseKey,
  responseKey,
  type StepHost,
  type StepNetwork,
} from '../capture/mod.ts'
import { AslError, entryRef, type InputEntry, isAslError, type Reference } from '../core/mod.ts'
import { initStore, openStore, type Store } from '../store/mod.ts'
import { type Clock, freeBytes, type Progress, thisMachine } from '../sys/mod.ts'
import { type ArchiveState, archiveStateInput, fetchArchiveState } from './archive-state.ts'
import type { BuildSources } from './build.ts'
import type { Architecture } from './build-context.ts'
import { IMAGE_BUILTINS } from './builtins.ts'
import type { FetchArtifact, FetchedArtifact } from './debian/archive.ts'
import { openKeyring } from './debian/release-signature.ts'
import { type Downloads, openDownloads } from './downloads.ts'
import { fetchNpmPackage, LOGICAL_REGISTRY, readPackageLock } from './npm-packages.ts'
import { entryAt, putProjectTree } from './project-tree.ts'
import { parseRecipe } from './recipe.ts'
import type { Recipe } from './recipe-schema.ts'
import { archiveSources, LOGICAL_MIRROR, LOGICAL_SECURITY_MIRROR } from './steps/debian-tree.ts'

/** Where a build works, and what of the machine it may use. */
export interface SessionOptions {
  readonly projectRoot: string
  readonly storePath: string
  readonly clock: Clock
  /** Bases of the mirrors that carry Debian, its security archive, and npm packages; the last is asked for when needed. */
  readonly mirrors: { readonly debian: string; readonly security: string; npm(): Promise<string> }
  /** `replay` answers from `known` alone. */
  readonly mode?: RecorderOptions['mode']
  readonly known?: ReadonlyMap<ResponseKey, KnownResponse>
  readonly upstreamProxy?: RecorderOptions['upstreamProxy']
  readonly signal?: AbortSignal
  readonly progress?: Progress
}

/** An opened store with everything a build needs around it. */
export interface Session {
  readonly store: Store
  readonly downloads: Downloads
  /** The host of steps of one epoch. */
  host(epoch: number, state: ArchiveState): StepHost
  /** A network for what is asked before the first step. */
  openNetwork(pinned?: ReadonlyMap<ResponseKey, KnownResponse>, furtherMirrors?: readonly Mirror[]): StepNetwork
}

/** Stands in every receipt as who ran the step; raised when the meaning of running a step changes. */
const EXECUTOR = { name: 'asl-capture', version: '1.0.0' }

export function openSession(options: SessionOptions): Session {
  const { storePath, clock, signal } = options
  const store = existsSync(join(storePath, 'meta', 'store.json'))
    ? openStore(storePath)
    : initStore(storePath, { withViews: true })
  const cache = join(storePath, 'cache')
  const workFolder = join(cache, 'work')
  mkdirSync(workFolder, { recursive: true })
  const downloads = openDownloads(store, cache)
  const mirrors: Mirror[] = [
    { logical: LOGICAL_MIRROR, upstream: options.mirrors.debian },
    { logical: LOGICAL_SECURITY_MIRROR, upstream: options.mirrors.security },
  ]
  const openNetwork: Session['openNetwork'] = (pinned, furtherMirrors = []) => {
    const known = new Map([...(options.known ?? downloads.known()), ...(pinned ?? [])])
    const network = openStepNetwork({
      mode: options.mode ?? 'record',
      store,
      keep: keepIn(store),
      spoolParent: workFolder,
      mirrors: [...mirrors, ...furtherMirrors],
      known,
      ...(options.upstreamProxy === undefined ? {} : { upstreamProxy: options.upstreamProxy }),
      ...(signal === undefined ? {} : { signal }),
    })
    return {
      get caFile() {
        return network.caFile
      },
      attach: pid => network.attach(pid),
      fetch: url => network.fetch(url),
      close: () => network.close(),
      async finish() {
        const record = await network.finish()
        downloads.add(record.inputs)
        return record
      },
    }
  }
  const known = openKnownSteps(store, join(cache, 'step-keys'))
  return {
    store,
    downloads,
    openNetwork,
    host: (epoch, state) => ({
      store,
      trees: openTreeCache(store, join(cache, 'trees'), epoch),
      known,
      builtins: IMAGE_BUILTINS,
      workFolder,
      runsFolder: join(storePath, 'runs'),
      executor: EXECUTOR,
      machine: thisMachine(),
      clock,
      openNetwork: async () => openNetwork(pinnedResponses(state)),
      ...(signal === undefined ? {} : { signal }),
    }),
  }
}

/** The InRelease files of one state: every step of a build sees the same archive, however long it takes. */
function pinnedResponses(state: ArchiveState): ReadonlyMap<ResponseKey, KnownResponse> {
  return new Map(
    state.suites.map(({ url, ref, sizeBytes }) => [
      responseKey('GET', url),
      { status: 200, headers: {}, ref, sizeBytes },
    ]),
  )
}

export interface PrepareOptions {
  readonly recipePath: string
  readonly arch?: Architecture
  readonly epoch?: number
}

/** npm packages in an image: what the program bundles. The runtime and the bundler are programs of their own. */
const BUNDLED_PACKAGES = ['canonicalize', 'cborg', 'commander', 'openpgp', 'xz-decompress'] as const
const NPM_ARCHITECTURES: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' }

/** Below this a build is not begun: trees, layers and image of the smallest recipe need about this much. */
const NEEDED_BYTES = 6 * 1024 ** 3

/**
 * Brings together what an image is made from, each as an artifact: the project, the recipe, the state of the archive,
 * the npm packages that the lockfile pins.
 * @throws AslError RECIPE_INVALID, NETWORK_UNREACHABLE, PACKAGE_NOT_FOUND, SIG_INVALID, DISK_FULL
 */
export async function prepareBuild(session: Session, options: SessionOptions & PrepareOptions): Promise<BuildSources> {
  const { store } = session
  const project = inBatch(store, writer => putProjectTree(writer, options.projectRoot))
  const recipePath = relative(options.projectRoot, resolve(options.recipePath))
  const recipeEntry = entryAt(store, project, recipePath)
  const recipeRef = entryRef(recipeEntry)
  const recipe = parseRecipe(store.read(recipeRef).toString('utf8'), options.recipePath)
  const arch = options.arch ?? (recipe.architectures[0] as Architecture)
  if (!recipe.architectures.includes(arch)) {
    throw new AslError(
      'RECIPE_INVALID',
      `Recipe ${options.recipePath} is not for ${arch}; it is for ${recipe.architectures.join(', ')}`,
    )
  }
  const free = freeBytes(options.storePath)
  if (free < NEEDED_BYTES) {
    throw new AslError(
      'DISK_FULL',
      `The file system of ${options.storePath} has ${mib(free)} MiB free; a build needs about ${mib(NEEDED_BYTES)}`,
      {
        hint: "Free some space, or give another place with --store. 'asl gc' removes what no snapshot needs.",
      },
    )
  }
  const network = session.openNetwork()
  try {
    const archive = await archiveState(session, recipe, project, network, options)
    const npm = recipe.programs === false ? undefined : await npmPackages(session, project, arch, options)
    await network.finish()
    return {
      recipe,
      recipeInput: { name: 'recipe.yaml', role: 'file', ref: recipeRef, size: recipeEntry.size ?? 0 },
      project,
      archive,
      archiveInput: inBatch(store, writer => archiveStateInput(archive, writer)),
      npm,
      arch,
      epoch: options.epoch ?? recipe.source_date_epoch ?? archive.suites[0]?.date ?? 0,
    }
  } finally {
    await network.close()
  }
}

/** The locked packages of the program: from the store when they were fetched before, else from the registry. */
async function npmPackages(
  session: Session,
  project: Reference,
  arch: Architecture,
  options: SessionOptions,
): Promise<NonNullable<BuildSources['npm']>> {
  const { store, downloads } = session
  const lock = readPackageLock(store.read(entryRef(entryAt(store, project, 'package-lock.json'))))
  let network: StepNetwork | undefined
  const fetch: FetchArtifact = async url => {
    const found = downloads.tryLatest(url)
    if (found !== undefined) return fromStore(store, found)
    network ??= session.openNetwork(undefined, [{ logical: LOGICAL_REGISTRY, upstream: await options.mirrors.npm() }])
    return network.fetch(url)
  }
  try {
    const bundled: InputEntry[] = []
    for (const name of BUNDLED_PACKAGES) bundled.push(await fetchNpmPackage(name, lock, fetch))
    const node = await fetchNpmPackage(`node-linux-${NPM_ARCHITECTURES[arch]}`, lock, fetch)
    const esbuild = await fetchNpmPackage(`@esbuild/linux-${hostCpu()}`, lock, fetch)
    await network?.finish()
    return { bundled, node, esbuild }
  } finally {
    await network?.close()
  }
}

function fromStore(store: Store, found: { readonly ref: Reference; readonly size: number }): FetchedArtifact {
  return { reference: found.ref, sizeBytes: found.size, chunks: () => store.chunks(found.ref) }
}

/** The archive as it is now; when it cannot be asked, as it was when it last could. */
async function archiveState(
  session: Session,
  recipe: Recipe,
  project: Reference,
  network: StepNetwork,
  options: SessionOptions,
): Promise<ArchiveState> {
  const { store, downloads } = session
  const armored = store.read(entryRef(entryAt(store, project, recipe.debian.keyring))).toString('utf8')
  const keyring = await openKeyring([armored])
  const suites = [recipe.debian.suite, ...(recipe.debian.further_suites ?? [])]
  const sources = archiveSources(suites, recipe.debian.components ?? ['main'])
  try {
    return await fetchArchiveState(sources, keyring, network.fetch)
  } catch (error) {
    if (!isAslError(error, 'NETWORK_UNREACHABLE')) throw error
    const state = await fetchArchiveState(sources, keyring, async url => {
      const found = downloads.tryLatest(url)
      if (found === undefined) throw error
      return fromStore(store, found)
    })
    const text = `${error.message}; going on with the archive as it was on ${day(state.suites[0]?.date ?? 0)}`
    options.progress?.({ kind: 'note', text })
    return state
  }
}

function inBatch<T>(store: Store, body: (writer: ReturnType<Store['openWriter']>) => T): T {
  const writer = store.openWriter()
  try {
    const result = body(writer)
    writer.commit()
    return result
  } finally {
    writer.abort()
  }
}

function hostCpu(): string {
  return NPM_ARCHITECTURES[thisMachine().arch]
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 ** 2)
}

function day(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10)
}
