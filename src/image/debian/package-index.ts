import { AslError, parseSha256, type Sha256 } from '../../core/mod.ts'
import {
  type ByteStream,
  compareDebianVersions,
  parseRelations,
  readParagraphs,
  requireField,
} from '../../formats/mod.ts'

/** A binary package as an index of the archive lists it. Relationship fields stay text until somebody asks. */
export interface BinaryPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly isEssential: boolean
  /** `required`, `important`, `standard`, `optional`, `extra`. */
  readonly priority: string
  readonly depends: string
  readonly preDepends: string
  readonly provides: string
  readonly conflicts: string
  readonly breaks: string
  /** Below the base of the archive: `pool/main/…`. */
  readonly path: string
  readonly sha256: Sha256
  readonly sizeBytes: number
  readonly origin: PackageOrigin
}

/** Which index listed a package. */
export interface PackageOrigin {
  /** Base of the archive, without a final slash. */
  readonly baseUrl: string
  readonly suite: string
  readonly component: string
}

export interface PackageIndex {
  /** Every version on offer, highest first; of equal ones the source given first. */
  versionsOf(name: string): readonly BinaryPackage[]
  /** Packages that provide a virtual name, with the version provided, by name of the package. */
  providersOf(name: string): readonly Provider[]
  packages(): Iterable<BinaryPackage>
  names(): Iterable<string>
  /** `trixie (main), trixie-security (main)`: for messages. */
  readonly description: string
}

export interface Provider {
  readonly package: BinaryPackage
  /** `undefined` for an unversioned `Provides`, which satisfies no versioned dependency (policy 7.5). */
  readonly version: string | undefined
}

/** The packages of one `Packages` file. @throws AslError FORMAT_INVALID */
export async function readPackages(stream: ByteStream, name: string, origin: PackageOrigin): Promise<BinaryPackage[]> {
  const packages: BinaryPackage[] = []
  for await (const paragraph of readParagraphs(stream, name, { fields: FIELDS })) {
    const get = (field: string): string => paragraph.get(field) ?? ''
    const packageName = requireField(paragraph, 'package', name)
    const where = `${name}: package ${packageName}`
    packages.push({
      name: packageName,
      version: requireField(paragraph, 'version', where),
      architecture: requireField(paragraph, 'architecture', where),
      isEssential: get('essential') === 'yes',
      priority: get('priority') || 'optional',
      depends: get('depends'),
      preDepends: get('pre-depends'),
      provides: get('provides'),
      conflicts: get('conflicts'),
      breaks: get('breaks'),
      path: parsePoolPath(requireField(paragraph, 'filename', where), where),
      sha256: parseSha256(requireField(paragraph, 'sha256', where)),
      sizeBytes: parseSize(requireField(paragraph, 'size', where), where),
      origin,
    })
  }
  return packages
}

export function packageIndex(lists: readonly (readonly BinaryPackage[])[]): PackageIndex {
  const byName = new Map<string, BinaryPackage[]>()
  const providers = new Map<string, Provider[]>()
  const origins = new Map<string, Set<string>>()
  for (const found of lists.flat()) {
    const versions = byName.get(found.name)
    if (versions === undefined) byName.set(found.name, [found])
    else versions.push(found)
    const components = origins.get(found.origin.suite)
    if (components === undefined) origins.set(found.origin.suite, new Set([found.origin.component]))
    else components.add(found.origin.component)
  }
  for (const [name, versions] of byName) {
    if (versions.length > 1) versions.sort((a, b) => compareDebianVersions(b.version, a.version))
    // Only the version that would be chosen counts as a provider.
    const [candidate] = versions
    if (candidate === undefined || candidate.provides === '') continue
    for (const [relation] of parseRelations(candidate.provides, `Provides of ${name}`)) {
      if (relation === undefined) continue
      const provider = { package: candidate, version: relation.constraint?.version }
      const others = providers.get(relation.name)
      if (others === undefined) providers.set(relation.name, [provider])
      else others.push(provider)
    }
  }
  for (const list of providers.values()) list.sort((a, b) => (a.package.name < b.package.name ? -1 : 1))
  return {
    versionsOf: name => byName.get(name) ?? [],
    providersOf: name => providers.get(name) ?? [],
    *packages() {
      for (const [candidate] of byName.values()) if (candidate !== undefined) yield candidate
    },
    names: () => byName.keys(),
    description: [...origins].map(([suite, components]) => `${suite} (${[...components].join(', ')})`).join(', '),
  }
}

const FIELDS: ReadonlySet<string> = new Set([
  'package',
  'version',
  'architecture',
  'essential',
  'priority',
  'depends',
  'pre-depends',
  'provides',
  'conflicts',
  'breaks',
  'filename',
  'sha256',
  'size',
])

/** The digest is checked after the download, but memory and disk are asked for by what the index says. */
function parseSize(text: string, where: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text)
  throw new AslError('FORMAT_INVALID', `${where}: Size is ${JSON.stringify(text.slice(0, 40))}`)
}

/** It becomes part of a URL: nothing that could leave the archive, or that a URL would have to escape. */
function parsePoolPath(text: string, where: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._~+=:@-]*(\/[A-Za-z0-9][A-Za-z0-9._~+=:@-]*)*$/.test(text)) return text
  throw new AslError('FORMAT_INVALID', `${where}: Filename is ${JSON.stringify(text.slice(0, 200))}`)
}
