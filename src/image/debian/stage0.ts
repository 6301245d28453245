import { AslError, type Reference } from '../../core/mod.ts'
import type { Store } from '../../store/mod.ts'
import type { Archive } from './archive.ts'
import type { BinaryPackage } from './package-index.ts'
import { resolvePackages } from './resolve.ts'
import { type DebInput, unpackDebs } from './unpack.ts'

/**
 * What stage 0 holds beyond the essential packages and what all of them depend on: enough to run
 * `mmdebstrap --variant=minbase` inside. Found by running it there; see docs/decisions/stage0.md.
 */
export const STAGE0_PACKAGES: Readonly<Record<string, string>> = {
  apt: 'fetches, verifies and resolves; brings sqv, which checks its signatures',
  'debian-archive-keyring': 'the keys that apt trusts',
  mmdebstrap: 'makes configured trees; brings perl',
  mount: 'mmdebstrap mounts /proc, /sys and /dev for maintainer scripts',
}

/** The packages of stage 0 from what an archive offers. @throws AslError PACKAGE_NOT_FOUND, PACKAGE_CONFLICT */
export function stage0Packages(archive: Archive): BinaryPackage[] {
  return resolvePackages(archive.packages, Object.keys(STAGE0_PACKAGES), { essential: true })
}

export interface FetchPackagesOptions {
  /** Downloads under way at once. */
  readonly concurrency?: number
  readonly signal?: AbortSignal
  readonly onFetched?: (found: BinaryPackage, done: number, total: number) => void
}

/** Fetches packages, each checked against the signed index. The order of the result is that of the packages. */
export async function fetchPackages(
  archive: Archive,
  packages: readonly BinaryPackage[],
  options: FetchPackagesOptions = {},
): Promise<DebInput[]> {
  const inputs: DebInput[] = []
  let next = 0
  let done = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < packages.length; at = next++) {
      const found = packages[at] as BinaryPackage
      if (options.signal?.aborted === true)
        throw new AslError('INTERRUPTED', `Stopped before ${found.name} was fetched`)
      const { reference } = await archive.fetchPackage(found)
      inputs[at] = { name: debFileName(found), package: found.name, reference }
      options.onFetched?.(found, ++done, packages.length)
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: options.concurrency ?? 4 }, work))
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason
  return inputs
}

/** The name of the file in the pool: `openssl_3.5.1-1_amd64.deb`. */
export function debFileName(found: BinaryPackage): string {
  return found.path.slice(found.path.lastIndexOf('/') + 1)
}

export interface Stage0 {
  readonly tree: Reference
  /** Inputs of the unpack operation. */
  readonly debs: readonly DebInput[]
  readonly packages: readonly BinaryPackage[]
}

export interface BuildStage0Options {
  readonly archive: Archive
  readonly store: Store
  /** A folder of this machine for files too large for memory. */
  readonly scratchFolder: string
  readonly signal?: AbortSignal
  readonly onProgress?: (phase: 'fetch' | 'unpack', name: string, done: number, total: number) => void
}

/**
 * The first tree of a build: fetched, verified, resolved and unpacked by this process alone. Nothing in it has been
 * configured; its only use is to run mmdebstrap inside, which makes the trees that count.
 */
export async function buildStage0(options: BuildStage0Options): Promise<Stage0> {
  const { archive, store, onProgress } = options
  const packages = stage0Packages(archive)
  const debs = await fetchPackages(archive, packages, {
    ...options,
    onFetched: (found, done, total) => onProgress?.('fetch', found.name, done, total),
  })
  const writer = store.openWriter()
  try {
    const tree = await unpackDebs(debs, {
      ...options,
      writer,
      onUnpacked: (name, done, total) => onProgress?.('unpack', name, done, total),
    })
    writer.commit()
    return { tree, debs, packages }
  } finally {
    writer.abort()
  }
}
