import type { Reference } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import type { PackageIdentity } from '../archive.ts'
import { readDpkgDatabase } from '../dpkg-database.ts'
import type { GraphInput, GraphStep } from '../graph.ts'
import type { TreeReader } from '../tree-reader.ts'

/** A package in an image, with the artifact and the URL that it came as. */
export interface InstalledPackage {
  readonly type: 'deb' | 'npm'
  readonly name: string
  readonly version: string
  /** Of Debian packages. */
  readonly architecture?: string
  /** Package URL (ECMA-427): one name for a package everywhere. */
  readonly purl: string
  /** Absent when no step of the history had the package as an input. */
  readonly artifact?: { readonly ref: Reference; readonly url: string }
}

/**
 * What dpkg's status in the tree lists as installed, and the npm packages that a step bundled into it. Ascending by
 * package URL.
 */
export function installedPackages(
  store: StoreReader,
  trees: TreeReader,
  tree: Reference,
  steps: readonly GraphStep[],
): readonly InstalledPackage[] {
  const downloads = steps.flatMap(step =>
    step.inputs.filter(input => input.role === 'download' || input.role === 'package'),
  )
  const debs = new Map(downloads.flatMap(input => keyOfDeb(input)))
  const identities = new Set(readDpkgDatabase(store, trees, tree).packages.values())
  const packages = [...identities].map(identity => debPackage(identity, debs))
  const npm = new Map(downloads.flatMap(input => npmPackage(input)))
  return [...packages, ...npm.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1))
}

type Artifact = NonNullable<InstalledPackage['artifact']>

function debPackage(identity: PackageIdentity, debs: ReadonlyMap<string, Artifact>): InstalledPackage {
  const { name, version, architecture } = identity
  const artifact = debs.get(`${name} ${withoutEpoch(version)} ${architecture}`)
  return {
    type: 'deb',
    name,
    version,
    architecture,
    purl: `pkg:deb/debian/${encode(name)}@${encode(version)}?arch=${encode(architecture)}`,
    ...(artifact === undefined ? {} : { artifact }),
  }
}

/** A file of the pool is named `NAME_VERSION_ARCH.deb`, the version without its epoch (Debian policy 5.6.12). */
function keyOfDeb({ name = '', ref }: GraphInput): readonly (readonly [string, Artifact])[] {
  const [, packageName, version, architecture] = /([^/_]+)_([^/_]+)_([^/_]+)\.deb$/.exec(name) ?? []
  if (packageName === undefined || version === undefined) return []
  const key = `${decode(packageName)} ${withoutEpoch(decode(version))} ${architecture}`
  return [[key, { ref, url: name }]]
}

/** `http://npm.internal/@scope/name/-/name-1.2.3.tgz`. */
function npmPackage({ name = '', ref }: GraphInput): readonly (readonly [string, InstalledPackage])[] {
  const [, full, bare, version] = /\/((?:@[^/]+\/)?([^/@]+))\/-\/\2-([^/]+)\.tgz$/.exec(name) ?? []
  if (full === undefined || bare === undefined || version === undefined) return []
  const purl = `pkg:npm/${full.split('/').map(encode).join('/')}@${encode(version)}`
  return [[purl, { type: 'npm', name: full, version, purl, artifact: { ref, url: name } }]]
}

function withoutEpoch(version: string): string {
  return version.replace(/^\d+:/, '')
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

/** apt escapes `~` and `:` in URLs; what is no escape is left as it is. */
function decode(text: string): string {
  return text.replace(/%[0-7][0-9a-f]/gi, code => String.fromCharCode(Number.parseInt(code.slice(1), 16)))
}
