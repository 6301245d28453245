import { AslError, type Reference, type Sha256, sha256, sha256Stream } from '../../core/mod.ts'
import {
  collectBytes,
  compressionOf,
  type DebianRelease,
  decompress,
  parseDebianRelease,
  type ReleaseFile,
} from '../../formats/mod.ts'
import { type BinaryPackage, type PackageIndex, type PackageList, packageIndex, readPackages } from './package-index.ts'
import { type Keyring, type Signer, verifyClearsigned } from './release-signature.ts'

/** A file that was fetched and is in the store, for every reader of it to see. */
export interface FetchedArtifact {
  readonly reference: Reference
  readonly sizeBytes: number
  /** Plain digest, where the fetch computed it while the file came; else it is computed here. */
  readonly sha256?: Sha256
  /** The content, in pieces; as often as asked. */
  chunks(): Iterable<Buffer>
}

/** What a file must be, where that is known beforehand: lets a fetch answer from the store without the network. */
export interface ExpectedContent {
  readonly sha256: Sha256
  readonly sizeBytes: number
}

/**
 * Gets a URL below the base of an archive: from a mirror through the recorder, or from the store on replay.
 * `undefined` when the archive answers that there is no such file.
 * @throws AslError NETWORK_UNREACHABLE, REPLAY_INPUT_MISSING
 */
export type FetchArtifact = (url: string, expected?: ExpectedContent) => Promise<FetchedArtifact | undefined>

export interface ArchiveSource {
  /** Logical base, the same on every machine: no mirror's name. `fetch` knows where it is. */
  readonly baseUrl: string
  readonly suite: string
  readonly components: readonly string[]
}

export interface OpenArchiveOptions {
  readonly fetch: FetchArtifact
  readonly sources: readonly ArchiveSource[]
  /** Debian's name: `amd64`, `arm64`. */
  readonly architecture: string
  readonly keyring: Keyring
  /** Against which `Valid-Until` is held, whole seconds since 1970. */
  readonly nowSeconds: number
}

export interface Archive {
  readonly architecture: string
  readonly suites: readonly OpenedSuite[]
  readonly packages: PackageIndex
  readonly findings: readonly ArchiveFinding[]
  /** @throws AslError DIGEST_MISMATCH, PACKAGE_NOT_FOUND when the mirror lacks the file */
  fetchPackage(found: BinaryPackage): Promise<FetchedArtifact>
}

export interface OpenedSuite {
  readonly source: ArchiveSource
  readonly release: DebianRelease
  readonly signers: readonly Signer[]
  readonly inRelease: FetchedFile
  readonly indices: readonly (FetchedFile & { readonly component: string })[]
}

export interface FetchedFile {
  readonly url: string
  readonly reference: Reference
  readonly sha256: Sha256
  readonly sizeBytes: number
}

/** Not an error: a frozen or replayed archive is expired by nature. */
export interface ArchiveFinding {
  readonly code: 'ARCHIVE_EXPIRED'
  readonly message: string
  readonly suite: string
  readonly validUntil: number
  readonly nowSeconds: number
}

/**
 * Opens suites of an archive along Debian's own chain of trust: key → InRelease (signature) → Packages (digest in
 * InRelease) → .deb (digest in Packages).
 * @throws AslError SIG_INVALID, DIGEST_MISMATCH, PATH_NOT_FOUND for a suite or component that is not there
 */
export async function openArchive(options: OpenArchiveOptions): Promise<Archive> {
  const { fetch, architecture } = options
  const suites: OpenedSuite[] = []
  const lists: PackageList[] = []
  const findings: ArchiveFinding[] = []
  for (const source of options.sources) {
    const { suite, packages } = await openSuite(source, options)
    suites.push(suite)
    lists.push(...packages)
    findings.push(...expiryOf(suite, options.nowSeconds))
  }
  return {
    architecture,
    suites,
    packages: packageIndex(lists),
    findings,
    fetchPackage: found => fetchPackage(fetch, found),
  }
}

export function packageUrl(found: BinaryPackage): string {
  return `${found.origin.baseUrl}/${found.path}`
}

const MAX_IN_RELEASE_SIZE_BYTES = 16 * 1024 * 1024

async function openSuite(source: ArchiveSource, options: OpenArchiveOptions) {
  const { fetch, architecture, keyring } = options
  const folder = `${source.baseUrl}/dists/${source.suite}`
  const url = `${folder}/InRelease`
  const fetched = await fetch(url)
  if (fetched === undefined) {
    throw new AslError('PATH_NOT_FOUND', `The archive ${source.baseUrl} has no suite "${source.suite}": no ${url}`, {
      hint: 'Check the name of the suite, and that the mirror carries it.',
    })
  }
  const bytes = await collectBytes(fetched.chunks(), MAX_IN_RELEASE_SIZE_BYTES, url)
  const { text, signers } = await verifyClearsigned(bytes, keyring, url)
  const release = parseDebianRelease(text, url)
  refuseOtherSuite(release, source, url)
  const indices: (FetchedFile & { component: string })[] = []
  const packages: PackageList[] = []
  for (const component of source.components) {
    const origin = { baseUrl: source.baseUrl, suite: source.suite, component }
    const [path, expected] = chooseIndex(release, source, component, architecture)
    const indexUrl = `${folder}/${release.hasByHash ? byHash(path, expected.sha256) : path}`
    const index = await fetchExpected(fetch, indexUrl, expected)
    packages.push(
      await readPackages(decompress(compressionOf(path) ?? 'none', index.chunks(), indexUrl), indexUrl, origin),
    )
    indices.push({ component, url: indexUrl, reference: index.reference, ...expected })
  }
  const inRelease = { url, reference: fetched.reference, sha256: sha256(bytes), sizeBytes: bytes.length }
  return { suite: { source, release, signers, inRelease, indices }, packages }
}

/** A signed file of another suite in the place of this one would be a downgrade that no digest shows. */
function refuseOtherSuite(release: DebianRelease, source: ArchiveSource, url: string): void {
  const wanted = source.suite.split('/')[0]
  if (release.codename === wanted || release.suite === wanted) return
  throw new AslError(
    'SIG_INVALID',
    `${url} is signed, but for suite "${release.suite}" (${release.codename}), not "${source.suite}"`,
    { hint: 'The mirror serves one suite in the place of another. Use another mirror.' },
  )
}

/** `.xz` first: smallest, and what every suite has. */
const INDEX_ENDINGS = ['.xz', '.zst', '.gz', '']

function chooseIndex(
  release: DebianRelease,
  source: ArchiveSource,
  component: string,
  architecture: string,
): [path: string, file: ReleaseFile] {
  for (const ending of INDEX_ENDINGS) {
    const path = `${component}/binary-${architecture}/Packages${ending}`
    const file = release.files.get(path)
    if (file !== undefined) return [path, file]
  }
  throw new AslError(
    'PATH_NOT_FOUND',
    `Suite "${source.suite}" of ${source.baseUrl} has no packages for ${architecture} in component "${component}"`,
    {
      hint: `It has the components ${release.components.join(', ')} and the architectures ${release.architectures.join(', ')}.`,
    },
  )
}

function byHash(path: string, sha256: Sha256): string {
  return `${path.slice(0, path.lastIndexOf('/'))}/by-hash/SHA256/${sha256}`
}

function expiryOf(suite: OpenedSuite, nowSeconds: number): ArchiveFinding[] {
  const { validUntil } = suite.release
  if (validUntil === undefined || validUntil >= nowSeconds) return []
  const name = suite.source.suite
  const iso = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000', '')
  const message = `Suite "${name}" was valid until ${iso(validUntil)}, it is ${iso(nowSeconds)}: the mirror may be stale`
  return [{ code: 'ARCHIVE_EXPIRED', message, suite: name, validUntil, nowSeconds }]
}

async function fetchPackage(fetch: FetchArtifact, found: BinaryPackage): Promise<FetchedArtifact> {
  return fetchExpected(fetch, packageUrl(found), { sha256: found.sha256, sizeBytes: found.sizeBytes })
}

async function fetchExpected(fetch: FetchArtifact, url: string, expected: ExpectedContent): Promise<FetchedArtifact> {
  const fetched = await fetch(url, expected)
  if (fetched === undefined) {
    throw new AslError('PACKAGE_NOT_FOUND', `The mirror has no ${url}, though the index of its suite lists it`, {
      hint: 'The mirror is being updated, or is not complete. Try again, or use another mirror.',
    })
  }
  const found = fetched.sha256 ?? digestOf(fetched.chunks())
  if (found !== expected.sha256 || fetched.sizeBytes !== expected.sizeBytes) {
    throw new AslError(
      'DIGEST_MISMATCH',
      `${url} has sha256 ${found} and ${fetched.sizeBytes} bytes, the signed index wants ${expected.sha256} and ${expected.sizeBytes}`,
      { hint: 'The mirror or the way to it changed the file. Try again, or use another mirror.' },
    )
  }
  return fetched
}

function digestOf(chunks: Iterable<Buffer>): Sha256 {
  const digest = sha256Stream()
  for (const chunk of chunks) digest.update(chunk)
  return digest.digest()
}
